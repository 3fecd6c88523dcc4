r"""Chat-completion deltas that wait together, joined into one: bytes in, bytes out.

Strategy. A stream of server-sent events is cut into blocks, each ending with a blank line. Neighbours that are plain
text deltas of the same `Shape` become one event, by joining the raw bytes of their strings; every other block leaves as
it came, byte for byte and in its place. So do these, though their shape is plain:

* a text that looks like a tag: Pydantic AI compares each delta with `<think>` and `</think>`, and joining must neither
  hide such a delta nor make one out of `<`, `think` and `>`;
* white space before the first visible text: some model profiles drop a delta of nothing but white space there;
* half a surrogate pair (`\ud83d` alone): decoded apart from its other half it stays half a pair.
"""

import re
from typing import Final

from pydantic_core import from_json

from pais_lite.models.shapes import Shape, maybe_shape

__all__ = ["MAX_HELD_BYTES", "DeltaMerger"]

# The start of an event whose end has not come yet waits here for it, so that an event that was cut between two reads
# can still be joined. A token's event has some 300 bytes; what is longer goes on in pieces.
MAX_HELD_BYTES: Final = 16 * 1024

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_EVENT: Final = re.compile(rb"data:([^\r\n]*+)(?:\n\n|\r\n\r\n)")
_EVENT_BEGUN: Final = re.compile(rb"data:[^\r\n]*+(?:\r\n|\n|\r)?+\Z")
_TAG: Final = re.compile(
    rb"(?:<|\[|\\u003[cC]|\\u005[bB]|\xe2\x97\x81|\\u25[cC]1).*(?:>|\]|\\u003[eE]|\\u005[dD]|\xe2\x96\xb7|\\u25[bB]7)",
    re.DOTALL,
)
# No reader's tag is longer; text that begins with `[` and ends with `]` often is.
_MAX_TAG_BYTES: Final = 96


class DeltaMerger:
    """Joins the text deltas within what it is fed; never keeps a whole event back.

    One merger serves one response. What it returns, read as server-sent events of chat-completion chunks, says the
    same as what it was given.
    """

    def __init__(self) -> None:
        self._held = b""
        self._shape: Shape | None = None
        # Whether the reader has visible text in its open text part, so that white space belongs to that part.
        self._text_open = False
        self._in_block = False  # a part of the current block has left already
        self._at_line_start = True
        self._after_cr = False  # the last byte was CR: an LF that follows belongs to it

    def feed(self, data: bytes) -> bytes:
        """Return everything up to the end of `data`, joined where it can be, but for an event that has only begun."""
        data = self._held + data
        self._held = b""
        out: list[bytes] = []
        is_ascii = data.isascii()
        position = 0
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):
                out.append(b"\n")
                position = 1
        while position < len(data):
            run_end = None if self._in_block else self._plain_run(data, position, is_ascii, out)
            if run_end is None:
                position = self._pass_block(data, position, out)
            elif run_end > position:
                position = run_end
            else:
                self._held = data[position:]
                break
        return b"".join(out)

    def flush(self) -> bytes:
        """Return what was held back for an end that never came."""
        held, self._held = self._held, b""
        return held

    def _plain_run(self, data: bytes, start: int, is_ascii: bool, out: list[bytes]) -> int | None:
        """Move the plain events at `start` to `out` and return their end.

        Returns `start` itself if the data ends within an event, and None if there is none at `start`.
        """
        shape = self._shape
        if shape is None or (found := shape.match(data, start, is_ascii)) is None:
            event = _EVENT.match(data, start)
            if event is None:
                begun = len(data) - start <= MAX_HELD_BYTES and _EVENT_BEGUN.match(data, start) is not None
                return start if begun else None
            # An event that waits alone needs no joining, and so no parsing.
            shape = maybe_shape(event) if event.end() < len(data) else None
            if shape is None or (found := shape.match(data, start, is_ascii)) is None:
                return None
            self._shape = shape

        run_start = first_end = start
        texts: list[bytes] = []
        while found is not None:
            text, end = found
            if self._may_join(text, shape):
                first_end = first_end if texts else end
                texts.append(text)
            else:
                out += _joined(data, (run_start, first_end, start), shape, texts)
                out.append(data[start:end])
                run_start, texts = end, []
            start = end
            found = shape.match(data, start, is_ascii)
        out += _joined(data, (run_start, first_end, start), shape, texts)
        return start

    def _may_join(self, text: bytes, shape: Shape) -> bool:
        if not shape.is_content:
            self._text_open = False
            return True
        if _is_tag(text):
            self._text_open = False
            return False
        if not self._text_open:
            self._text_open = _is_visible(text)
        return self._text_open

    def _pass_block(self, data: bytes, start: int, out: list[bytes]) -> int:
        """Move the rest of the current block, or as much as there is of it, to `out`; return its end."""
        position = start
        self._text_open = False
        self._in_block = True
        while self._in_block and (found := _LINE_END.search(data, position)) is not None:
            if found.start() == position and self._at_line_start:
                self._in_block = False
            self._at_line_start = True
            position = found.end()
            self._after_cr = found.group() == b"\r" and position == len(data)
        if self._in_block and position < len(data):
            self._at_line_start = False
            position = len(data)
        out.append(data[start:position])
        return position


def _joined(data: bytes, run: tuple[int, int, int], shape: Shape, texts: list[bytes]) -> tuple[bytes]:
    """Return the run that starts, ends its first event, and ends at these places, as one event if that is allowed."""
    start, first_end, end = run
    if len(texts) < 2 or (shape.is_content and _is_tag(b"".join(texts))):
        return (data[start:end],)
    return (shape.join(data[start:first_end], texts),)


def _is_tag(text: bytes) -> bool:
    return len(text) <= _MAX_TAG_BYTES and _TAG.fullmatch(text) is not None


def _is_visible(text: bytes) -> bool:
    value = from_json(b'"%b"' % text)
    return bool(value) and not value.isspace()
