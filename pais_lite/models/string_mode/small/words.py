"""Words, and how much two texts share of them, without a dictionary of any language."""

import math
import re
from collections.abc import Iterable, Sequence

__all__ = ["overlap", "similarity", "words"]

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
# Inflected words share their beginning: this much of the longer one, and so many letters, make them one word.
_SHARED = 0.6
_SHARED_LETTERS = 3
# Longer words say more. Beyond this length they say the same.
_FULL_LENGTH = 6


def words(text: str) -> list[str]:
    """Return the words of a text or an identifier, in order, folded to lower case."""
    return [word.casefold() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def similarity(one: str, other: str) -> float:
    """Return 1 for the same word, the share of a common beginning for its inflections, and otherwise 0."""
    if one == other:
        return 1.0
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    share = shared / max(len(one), len(other))
    return share if shared >= _SHARED_LETTERS and share >= _SHARED else 0.0


def overlap(message: Iterable[str], texts: Sequence[frozenset[str]]) -> list[float]:
    """Return how much of a message each text takes up; what all texts have in common counts little."""
    scores = [0.0] * len(texts)
    for word in set(message):
        found = [max((similarity(word, other) for other in text), default=0.0) for text in texts]
        having = sum(1 for one in found if one)
        if not having:
            continue
        weight = min(len(word), _FULL_LENGTH) / _FULL_LENGTH * math.log((len(texts) + 1) / having)
        scores = [score + weight * one for score, one in zip(scores, found, strict=True)]
    return scores
