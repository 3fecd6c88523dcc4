"""The runs of a message's words that may be somebody's value, and where one ends and the request around it begins."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from pais_lite.models.string_mode.small.values import Span, spans, tokens
from pais_lite.models.string_mode.small.words import LITTLE_WORDS, similarity, words

__all__ = ["AROUND", "Candidates", "alike"]

AROUND = LITTLE_WORDS | frozenset(
    words(
        "want need like just now right so up out too over under below above between within until not let called named titled near"
    )
)
"""Words that stand around a value in English and are hardly ever its first or last one.

Other languages lose no more than this help: their runs of words are all kept.
"""
_SUBJECTS = frozenset(("i", "you", "we", "they", "he", "she"))
_WISHES = frozenset(("want", "need", "like", "love", "wish", "have", "going", "try"))
_BREAK = re.compile(r"[,;:!?]|\.\s")
_LONGEST = 10
_MOST = 160


def alike(names: Iterable[str], said: Sequence[str]) -> bool:
    """Return whether one of `names` is said, give or take an ending."""
    return any(similarity(name, word) >= 0.7 for name in names for word in said)


class Candidates:
    """The runs of words in one message, for a tool whose own words are `tool_words`."""

    def __init__(self, message: str, tool_words: Iterable[str]) -> None:
        self.message = message
        self.tokens = tokens(message)
        self._tool_words = frozenset(tool_words) - AROUND

    def runs(self, taken: Collection[Span], accepts: Callable[[str], bool]) -> list[Span]:
        """Return what may be a value and is not part of another one, runs that stand on their own if there are any."""
        every = [
            span
            for span in spans(self.message, longest=_LONGEST)
            if not span.overlaps(taken) and accepts(span.text)
        ]
        for is_at_no_edge in (self._is_at_no_edge, self._is_little):
            kept = [span for span in every if self._stands_alone(span, taken, is_at_no_edge)]
            if kept:
                return [*kept, *(name for run in kept for name in self._names_in(run) if accepts(name.text))][
                    :_MOST
                ]
        return every[:_MOST]

    def _stands_alone(
        self, span: Span, taken: Collection[Span], is_at_no_edge: Callable[[Span], bool]
    ) -> bool:
        """Whether a span begins and ends where values do: not with such a word, and next to one or to punctuation."""
        inside = [token for token in self.tokens if span.start <= token.start and token.end <= span.end]
        if is_at_no_edge(inside[0]) or is_at_no_edge(inside[-1]) or _BREAK.search(span.text):
            return False
        first, last = self.tokens.index(inside[0]), self.tokens.index(inside[-1])
        before = self.tokens[first - 1] if first else None
        after = self.tokens[last + 1] if last + 1 < len(self.tokens) else None
        return all(
            token is None or is_at_no_edge(token) or token.overlaps(taken) or _BREAK.search(f"{gap} ")
            for token, gap in (
                (before, self.message[before.end : span.start] if before else ""),
                (after, self.message[span.end : after.start] if after else ""),
            )
        )

    def _is_little(self, token: Span) -> bool:
        return all(word in AROUND for word in words(token.text))

    def _is_at_no_edge(self, token: Span) -> bool:
        """Whether a word belongs to the request rather than to a value: a little one, one of the tool's, a verb."""
        if self._is_little(token) or self._is_verb(token):
            return True
        # A capital letter inside a sentence makes a name of any word: Baker Street.
        return not token.text[:1].isupper() and alike(self._tool_words, words(token.text))

    def _is_verb(self, token: Span) -> bool:
        """Whether a word stands where English has its verbs: first in a request, behind "you" or "want to"."""
        place = self.tokens.index(token)
        before = [one.text.casefold() for one in self.tokens[max(0, place - 2) : place]]
        return not before or before[-1] in _SUBJECTS or (before[-1] == "to" and before[0] in _WISHES)

    def _names_in(self, run: Span) -> list[Span]:
        """Return the runs of capitalized words inside a longer run, which may be the value by themselves."""
        found: list[list[Span]] = [[]]
        for token in self.tokens:
            if run.start <= token.start and token.end <= run.end and token.text[:1].isupper():
                found[-1].append(token)
            elif found[-1]:
                found.append([])
        names = [self.joined(part) for part in found if part]
        return [name for name in names if name != run]

    def before_verb(self, index: int) -> bool:
        """Whether a "to" belongs to the verb behind it, as in "I want to"."""
        return index > 0 and self.tokens[index - 1].text.casefold() in _WISHES

    def run_from(self, index: int, taken: Collection[Span]) -> Span | None:
        """Return the value that begins with a token, or behind its articles, and ends where values do."""
        rest = self.tokens[index:]
        while rest and self._is_little(rest[0]):
            rest = rest[1:]
        run: list[Span] = []
        for token in rest:
            if (
                self._is_little(token)
                or token.overlaps(taken)
                or (run and _BREAK.search(self.joined([run[-1], token]).text))
            ):
                break
            run.append(token)
        return self.joined(run) if run else None

    def joined(self, parts: Sequence[Span]) -> Span:
        """Return the piece of the message from the first of `parts` to the last."""
        start, end = parts[0].start, parts[-1].end
        return Span(self.message[start:end], start, end)
