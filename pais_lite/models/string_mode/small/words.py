"""Words, and how much two texts share of them, without a dictionary of any language."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

__all__ = ["LITTLE_WORDS", "overlap", "similarity", "words"]

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


LITTLE_WORDS = frozenset(
    words(
        "a an the my your our his her their this that these those some any in on at to for of from by with about into "
        "and or as than is are be am was were it its i you we me us he she they them please can could would will shall "
        "should may do does did have has had what which who whom whose how when where many much there s t m re ll"
    )
)
"""English words that say nothing about what is wanted. Other languages lose no more than this help."""


def overlap(message: Iterable[str], vocabularies: Sequence[Mapping[str, float]]) -> list[float]:
    """Return how much of a message is in each vocabulary of weighted words; what all have in common counts little."""
    scores = [0.0] * len(vocabularies)
    for word in set(message) - LITTLE_WORDS:
        found = [
            max((similarity(word, other) * weight for other, weight in vocabulary.items()), default=0.0)
            for vocabulary in vocabularies
        ]
        having = sum(1 for one in found if one)
        if having:
            rarity = min(len(word), _FULL_LENGTH) / _FULL_LENGTH * math.log((len(vocabularies) + 1) / having)
            scores = [score + rarity * one for score, one in zip(scores, found, strict=True)]
    return scores
