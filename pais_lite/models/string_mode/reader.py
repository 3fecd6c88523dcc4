"""Reads a model's answer as it is generated: text goes out at once, a tool call only as a whole, its JSON never as text.

Held back is only what may still become a call: a bracket, a fence or a tag, until the first key behind it has shown
whether it can be one; and the blank space at the end, which belongs to no text if a call follows. What has been called
ends the text: whatever a model writes behind its calls, it writes without having seen their results.

Every decision is made on characters, none on how they arrived, so that any cutting of an answer reads the same.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from pais_lite.models.string_mode.calls import (
    ENVELOPE_KEYS,
    HEAD_KEYS,
    TEXT_KEY,
    Call,
    find_calls,
    find_cut_off_calls,
)
from pais_lite.models.string_mode.lenient import CutOff, JsonSpan, loads

__all__ = ["AnswerReader", "Text"]

# A run of blanks longer than this is text, whatever follows.
_BLANKS = 64
# No call that a model writes should come near this; what does is text.
_MAX_CALL_CHARS = 4 * 1024 * 1024

_OPENER = re.compile(r"[{\[`<]")
_FENCE = re.compile(r"```[ \t]*[A-Za-z_+-]{0,20}\s{0,64}")
_FENCE_PART = re.compile(r"`{1,2}|```[ \t]*[A-Za-z_+-]{0,20}\s{0,64}")
_TAGS = (
    "<tool_call>",
    "<tool_calls>",
    "<|tool_call|>",
    "<|tool_call>",
    "<function_call>",
    "<functioncall>",
    "<|python_tag|>",
    "<tools>",
    "[TOOL_CALLS]",
)
_HEAD = re.compile(r"(?:\[\s{0,64}){0,2}\{\s{0,64}([\"'])")
_HEAD_PART = re.compile(r"(?:\[\s{0,64}){0,2}(?:\{\s{0,64})?")
_KEY_BEGUN = re.compile(r"\{\s*[\"']\w+\Z")
_TEXT_HEAD = re.compile(rf"\s{{0,64}}\{{\s{{0,64}}\"{TEXT_KEY}\"\s{{0,64}}:\s{{0,64}}\"")
_TEXT_HEAD_PART = re.compile(
    r"\s{0,64}(?:\{\s{0,64}(?:"
    + "(?:".join(re.escape(char) for char in f'"{TEXT_KEY}"')
    + r"\s{0,64}(?::\s{0,64})?"
    + ")?" * (len(TEXT_KEY) + 2)
    + ")?"
)
_ESCAPE = re.compile(r"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|u([0-9a-f]{4})|(.))", re.I | re.S)
_ESCAPED = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True)
class Text:
    """Some more of what the model says."""

    content: str


class _State(Enum):
    START = auto()
    PROSE = auto()
    JSON = auto()
    STRING = auto()


class _Head(Enum):
    NOT_A_CALL = auto()
    TOO_SHORT = auto()


class AnswerReader:
    """Turns pieces of an answer into `Text` and `Call`, in order."""

    def __init__(self, tools: Mapping[str, Collection[str]], *, enveloped: bool = False) -> None:
        """Expect calls of `tools`, name to parameter names; `enveloped` answers hold their text in a JSON string."""
        self._tools = tools
        self._keys = HEAD_KEYS | frozenset(tools)
        self._state = _State.START if enveloped else _State.PROSE
        self._held = ""
        self._json: list[str] = []
        self._json_chars = 0
        self._json_opener = ""
        self._span = JsonSpan()
        self._silent = False
        self._out: list[Text | Call] = []

    def feed(self, piece: str) -> list[Text | Call]:
        """Take the next piece of the answer and return what it settles."""
        self._held += piece
        self._advance(final=False)
        return self._take()

    def finish(self) -> list[Text | Call]:
        """Return what is left once the answer is over."""
        self._advance(final=True)
        if self._state is _State.JSON:
            self._end_of_cut_off_json()
        self._held = ""
        return self._take()

    def _take(self) -> list[Text | Call]:
        taken: list[Text | Call] = []
        for item in self._out:
            if isinstance(item, Text) and taken and isinstance(taken[-1], Text):
                taken[-1] = Text(taken[-1].content + item.content)
            else:
                taken.append(item)
        self._out = []
        return taken

    def _say(self, text: str) -> None:
        if text and not self._silent:
            self._out.append(Text(text))

    def _call(self, calls: list[Call]) -> None:
        self._out.extend(calls)
        self._silent = True

    def _advance(self, *, final: bool) -> None:
        moved = True
        while moved:
            match self._state:
                case _State.START:
                    moved = self._start(final)
                case _State.PROSE:
                    moved = self._prose(final)
                case _State.JSON:
                    moved = self._json_more()
                case _State.STRING:
                    moved = self._string(final)

    # ------------------------------------------------------------------------------------ text in a JSON string

    def _start(self, final: bool) -> bool:
        if match := _TEXT_HEAD.match(self._held):
            self._held = self._held[match.end() :]
            self._state = _State.STRING
            return True
        if not final and _TEXT_HEAD_PART.fullmatch(self._held):
            return False
        self._state = _State.PROSE
        return True

    def _string(self, final: bool) -> bool:
        end, closed = _string_extent(self._held)
        raw, self._held = self._held[:end], self._held[end:]
        if raw:
            self._say(_decoded(raw))
        if not closed:
            if final:
                self._held = ""
            return False
        # Behind the string come the envelope's bracket and, from models that nothing constrains, sometimes calls.
        self._held = self._held[1:]
        self._silent = True
        self._state = _State.PROSE
        return True

    # --------------------------------------------------------------------------------------------------- prose

    def _prose(self, final: bool) -> bool:
        position = 0
        while match := _OPENER.search(self._held, position):
            start = match.start()
            head = self._head(start)
            if isinstance(head, int):
                blanks = _trailing_blanks(self._held[:start])
                self._say(self._held[: start - blanks])
                self._json_opener = self._held[start - blanks : head]
                self._held = self._held[head:]
                self._json, self._json_chars, self._span = [], 0, JsonSpan()
                self._state = _State.JSON
                return True
            if head is _Head.TOO_SHORT:
                self._keep(start)
                if not final:
                    return False
                if _KEY_BEGUN.search(self._held):
                    # The answer was cut off inside the key of a call.
                    self._held = ""
                    return False
                start = len(self._held) - len(self._held.lstrip())
            position = start + 1
        self._keep(len(self._held), all_of_it=final)
        return False

    def _keep(self, start: int, *, all_of_it: bool = False) -> None:
        """Say what is before `start`, but for blanks that a call may follow, and hold the rest."""
        settled = start if all_of_it else start - _trailing_blanks(self._held[:start])
        self._say(self._held[:settled])
        self._held = self._held[settled:]

    def _head(self, start: int) -> int | _Head:
        """Return where the JSON of a call begins, if what begins at `start` is one."""
        text = self._held
        position = start
        for _ in range(2):
            if match := _FENCE.match(text, position):
                position = match.end()
            if tag := next((tag for tag in _TAGS if text.startswith(tag, position)), None):
                position += len(tag)
                position += len(text[position : position + _BLANKS]) - len(
                    text[position : position + _BLANKS].lstrip()
                )
        rest = text[position:]
        if not rest or _FENCE_PART.fullmatch(rest) or any(tag.startswith(rest) for tag in _TAGS):
            return _Head.TOO_SHORT
        match = _HEAD.match(rest)
        if match is None:
            return _Head.TOO_SHORT if _HEAD_PART.fullmatch(rest) else _Head.NOT_A_CALL
        key, quote, _ = rest[match.end() :].partition(match.group(1))
        if quote:
            return position if key in self._keys else _Head.NOT_A_CALL
        return _Head.TOO_SHORT if any(known.startswith(key) for known in self._keys) else _Head.NOT_A_CALL

    # ---------------------------------------------------------------------------------------------------- JSON

    def _json_more(self) -> bool:
        end = self._span.feed(self._held)
        piece = self._held if end is None else self._held[:end]
        self._json.append(piece)
        self._json_chars += len(piece)
        self._held = self._held[len(piece) :]
        if end is None and self._json_chars <= _MAX_CALL_CHARS:
            return False
        text = "".join(self._json)
        self._state = _State.PROSE
        try:
            calls = None if end is None else find_calls(loads(text), self._tools)
        except ValueError:
            calls = None
        if calls is None:
            self._say(self._json_opener + text)
        else:
            self._call(calls)
        return True

    def _end_of_cut_off_json(self) -> None:
        text = "".join(self._json)
        try:
            # A list that goes on can be mended, but not told from a whole one: half an order must not be placed.
            calls = None if self._span.inside_inner_list else find_calls(loads(text), self._tools)
        except CutOff:
            calls = None
        except ValueError:
            calls = []
        if calls is None:
            calls = find_cut_off_calls(text, self._tools)
        if calls:
            self._call(calls)
        elif not self._must_be_call(text):
            self._say(self._json_opener + text)

    def _must_be_call(self, text: str) -> bool:
        match = _HEAD.match(text)
        key, quote, rest = text[match.end() :].partition(match.group(1)) if match else ("", "", "")
        if not quote or key in ENVELOPE_KEYS or key in self._tools:
            return True
        name = rest.lstrip(" \t\n\r:").lstrip("\"'").partition('"')[0].partition("'")[0]
        return any(tool.startswith(name) for tool in self._tools)


def _trailing_blanks(text: str) -> int:
    return min(len(text) - len(text.rstrip()), _BLANKS)


def _string_extent(text: str) -> tuple[int, bool]:
    """Return how much of a JSON string's inside can be decoded by itself, and whether its closing quote follows."""
    position = 0
    while True:
        backslash = text.find("\\", position)
        quote = text.find('"', position)
        if quote >= 0 and (backslash < 0 or quote < backslash):
            return quote, True
        if backslash < 0:
            return len(text), False
        escape = text[backslash : backslash + 6]
        if len(escape) < 2 or (escape[1] == "u" and len(escape) < 6):
            return backslash, False
        length = 6 if escape[1] == "u" else 2
        # Half of a character beyond the 16-bit ones waits for its other half.
        if escape[:3].lower() in ("\\ud",) and escape[3:4].lower() in "89ab" and len(text) < backslash + 12:
            follows = text[backslash + 6 : backslash + 12]
            if "\\u".startswith(follows[:2]):
                return backslash, False
            length = 6
        elif (
            escape[:3].lower() == "\\ud"
            and escape[3:4].lower() in "89ab"
            and text[backslash + 6 : backslash + 8] == "\\u"
        ):
            length = 12
        position = backslash + length


def _decoded(raw: str) -> str:
    return _ESCAPE.sub(_unescaped, raw)


def _unescaped(match: re.Match[str]) -> str:
    high, low, unit, char = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if unit:
        code = int(unit, 16)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
    return _ESCAPED.get(char, f"\\{char}")
