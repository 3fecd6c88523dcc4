"""JSON as language models write it: fenced off by nothing, with commas too many and brackets too few.

`loads` takes strict JSON as it is and mends the rest in one pass over the text: trailing commas, Python's quotes and
constants, raw line breaks inside strings, brackets that were closed in the wrong order or not at all. What was cut off
in the middle of a value is never guessed: half a path or half a number must not reach a tool.
"""

import re
from typing import Any

from pydantic_core import from_json

__all__ = ["CutOff", "JsonSpan", "loads"]

_CLOSER = {"{": "}", "[": "]"}
_WORDS = {
    "true": "true",
    "True": "true",
    "false": "false",
    "False": "false",
    "null": "null",
    "None": "null",
}
_WORD = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"[-+.\w]+")
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"'}


class CutOff(ValueError):
    """The text ends in the middle of a string, a number or a word, so its last value is not known."""


class JsonSpan:
    """Finds where an object or array ends, one piece of text at a time, without holding on to the text."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._quote = ""
        self._escaped = False

    @property
    def inside_inner_list(self) -> bool:
        """Whether a list is open that is part of a value, rather than the list of values that all may be in."""
        return "]" in self._open[2:]

    def feed(self, text: str) -> int | None:
        """Return how many characters of `text` still belong to the value, or None while it goes on."""
        for index, char in enumerate(text):
            if self._quote:
                if self._escaped:
                    self._escaped = False
                elif char == "\\":
                    self._escaped = True
                elif char == self._quote:
                    self._quote = ""
            elif char in "\"'":
                self._quote = char
            elif char in "{[":
                self._open.append(_CLOSER[char])
            elif char in "}]":
                _close(self._open, char)
                if not self._open:
                    return index + 1
        return None


def _close(open_brackets: list[str], closer: str) -> str:
    """Pop everything up to `closer`, and return what has to be written for it; nothing if it closes nothing."""
    if closer not in open_brackets:
        return ""
    written = ""
    while open_brackets:
        innermost = open_brackets.pop()
        written += innermost
        if innermost == closer:
            break
    return written


def loads(text: str) -> Any:
    """Return the value that `text` most likely means.

    Raises:
        CutOff: if the text ends inside a value that nobody can complete.
        ValueError: if it is no JSON and cannot be mended.
    """
    try:
        return from_json(text)
    except ValueError:
        return from_json(_mend(text))


def _mend(text: str) -> str:
    out: list[str] = []
    open_brackets: list[str] = []
    position = 0
    while position < len(text):
        char = text[position]
        if char in "\"'":
            string, position = _string(text, position)
            out.append(string)
        elif char in "{[":
            open_brackets.append(_CLOSER[char])
            out.append(char)
            position += 1
        elif char in "}]":
            _drop_comma(out)
            out.append(_close(open_brackets, char))
            position += 1
        elif match := _WORD.match(text, position):
            position = match.end()
            if position == len(text):
                raise CutOff(text)
            out.append(_word(match.group(), text, position))
        elif match := _NUMBER.match(text, position):
            position = match.end()
            if position == len(text):
                raise CutOff(text)
            out.append(match.group())
        else:
            out.append(char)
            position += 1
    if open_brackets:
        _drop_comma(out)
        if out and out[-1] == ":":
            raise CutOff(text)
    return "".join(out) + "".join(reversed(open_brackets))


def _string(text: str, start: int) -> tuple[str, int]:
    """Return the string that opens at `start` as strict JSON, and the position after it."""
    quote = text[start]
    out = ['"']
    position = start + 1
    while position < len(text):
        char = text[position]
        if char == quote:
            out.append('"')
            return "".join(out), position + 1
        if char == "\\":
            following = text[position + 1 : position + 2]
            if not following:
                break
            if following == "'":
                out.append("'")
            elif following in '"\\/bfnrtu':
                out.append(char + following)
            else:
                # A path or a pattern whose backslashes were not doubled.
                out.append("\\\\")
                position -= 1
            position += 2
            continue
        out.append(_ESCAPES.get(char) or (char if char >= " " else f"\\u{ord(char):04x}"))
        position += 1
    raise CutOff(text)


def _word(word: str, text: str, end: int) -> str:
    if constant := _WORDS.get(word):
        return constant
    if text[end:].lstrip().startswith(":"):
        return f'"{word}"'
    return word


def _drop_comma(out: list[str]) -> None:
    while out and not out[-1].strip():
        out.pop()
    if out and out[-1] == ",":
        out.pop()
