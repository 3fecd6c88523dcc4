"""What a message offers as values for arguments: its numbers, its quotations, and every run of its words."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

__all__ = ["Span", "number_value", "numbers", "quotations", "spans", "tokens"]

_TOKEN = re.compile(r"\S+")
_NUMBER = re.compile(r"(?<![\w.,:/@-])[-+]?\d[\d,]*(?:\.\d+)?(?!\w*\d)(?![:/.]\w)")
_UNITS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBER_WORDS = {
    **{word: number for number, word in enumerate(_UNITS, 2)},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
}
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”|«([^»]+)»|(?<!\w)'([^']+)'(?!\w)|`([^`]+)`")
_LEADING = "\"'“«(<[`¿¡"
_TRAILING = "\"'”»)>]`.,;:!?"


@dataclass(frozen=True)
class Span:
    """A piece of a message, with the positions of its first character and of the one behind its last."""

    text: str
    start: int
    end: int

    def overlaps(self, taken: Collection["Span"]) -> bool:
        """Whether the piece shares a character with one of `taken`."""
        return any(self.start < other.end and other.start < self.end for other in taken)


def numbers(message: str) -> list[Span]:
    """Return the numbers in a message as they are written, small ones in English words included."""
    found = [Span(match.group(), match.start(), match.end()) for match in _NUMBER.finditer(message)]
    found += [token for token in tokens(message) if token.text.casefold() in _NUMBER_WORDS]
    return sorted(found, key=lambda span: span.start)


def number_value(span: Span) -> float:
    """Return the number that a span from `numbers` stands for."""
    word = _NUMBER_WORDS.get(span.text.casefold())
    return float(span.text.replace(",", "")) if word is None else float(word)


def quotations(message: str) -> list[Span]:
    """Return what stands in quotation marks."""
    found = []
    for match in _QUOTED.finditer(message):
        group = next(index for index, text in enumerate(match.groups(), 1) if text)
        found.append(Span(match.group(group), match.start(group), match.end(group)))
    return found


def tokens(message: str) -> list[Span]:
    """Return what blanks separate, without the punctuation around it."""
    found = []
    for match in _TOKEN.finditer(message):
        text = match.group()
        start = match.start() + len(text) - len(text.lstrip(_LEADING))
        text = text.strip(_LEADING + _TRAILING) if text.strip(_LEADING + _TRAILING) else ""
        if text:
            found.append(Span(text, start, start + len(text)))
    return found


def spans(message: str, *, longest: int) -> Iterator[Span]:
    """Yield every run of at most `longest` tokens, without the punctuation around it."""
    parts = tokens(message)
    for first in range(len(parts)):
        for last in range(first, min(first + longest, len(parts))):
            start, end = parts[first].start, parts[last].end
            yield Span(message[start:end], start, end)
