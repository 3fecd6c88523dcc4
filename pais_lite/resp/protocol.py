"""RESP2 and RESP3 as a pure function from bytes to `pais_lite.resp.values`; no sockets here.

The specification: https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md, "the spec" below.

Strategy: the decoder keeps unfinished aggregates on a stack of its own and never parses a byte of a finished element
again, and it joins chunks only when the element in hand can be finished. So time is linear however the bytes are cut.
Runs of bulk strings, which is what long replies consist of, take one look-up and one copy per member.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from pais_lite.resp.errors import ProtocolError, ServerError
from pais_lite.resp.values import Attributed, Push, Reply, VerbatimString

__all__ = ["NEED_DATA", "Decoder", "Limits", "NeedData"]


class NeedData(Enum):
    """The type of `NEED_DATA`: there is no whole reply yet."""

    NEED_DATA = "need data"


NEED_DATA: Final = NeedData.NEED_DATA


@dataclass(frozen=True)
class Limits:
    """Ceilings on what a peer can make us hold.

    `bulk_bytes` leaves room for the largest request body that the server accepts, encoded; Redis would allow 512 MiB.
    `line_bytes` is Redis' own bound for what is not a bulk string. `elements` counts the members of one aggregate, and
    `depth` aggregates within each other: no command of Redis answers with more than a few levels.
    """

    bulk_bytes: int = 64 * 1024 * 1024
    line_bytes: int = 64 * 1024
    elements: int = 4 * 1024 * 1024
    depth: int = 64


_BULK, _BULK_ERROR, _VERBATIM = b"$!="
_SIMPLE, _ERROR, _NUMBER, _BIG_NUMBER, _DOUBLE, _BOOLEAN, _NULL = b"+-:(,#_"
_MAP, _SET, _PUSH, _ATTRIBUTE = b"%~>|"
_AGGREGATES = b"*%~>|"
_TYPES = b"$!=+-:(,#_*%~>|;."
_STREAMED = {
    "$": "string",
    "*": "array",
    "%": "map",
    "~": "set",
    ">": "push",
    "|": "attribute",
    "!": "error",
    "=": "string",
}

_INTEGER = re.compile(rb"[+-]?[0-9]+")
# The spec, "Double": an integer part is required, fraction and exponent are not.
_FLOAT = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|inf|nan)")
# With fewer members to come, the general way is as fast.
_RUN = 2
_BEFORE_A_RUN = b"$*%~>|"
# Lines that make up most of what a server says, with their values.
_UNCOMMON = object()
_COMMON: dict[bytes, Reply] = {b"+OK": "OK", b"+QUEUED": "QUEUED", b"_": None, b"#t": True, b"#f": False}
_COMMON.update((b":%d" % number, number) for number in range(1024))
# How many headers a decoder remembers, a few hundred kilobytes of them.
_REMEMBERED = 4096


class _Aggregate:
    """An aggregate that is still being read: its type, its members so far and how many are missing."""

    __slots__ = ("items", "kind", "missing")

    def __init__(self, kind: int, missing: int) -> None:
        self.kind = kind
        self.items: list[Reply] = []
        self.missing = missing


class Decoder:
    """Turns chunks of bytes into replies, each once, in order.

        decoder.feed(data)
        while (reply := decoder.next_reply()) is not NEED_DATA:
            ...

    With `keep_attributes` a value that the server remarked upon comes as an `Attributed`. After a `ProtocolError` the
    decoder raises the same again, whatever it is fed.
    """

    def __init__(self, limits: Limits | None = None, *, keep_attributes: bool = False) -> None:
        self._limits = limits or Limits()
        self._keep_attributes = keep_attributes
        self._buffer = b""
        self._position = 0
        # What came and was not yet joined to the buffer, because the element in hand lacks more than that:
        self._chunks: list[bytes] = []
        self._chunk_bytes = 0
        # ... so many bytes, or the end of its line.
        self._missing_bytes = 0
        self._missing_line = False
        # A chunk of which the buffer holds the beginning, and from where on it is still to be read.
        self._rest: tuple[bytes, int] | None = None
        self._stack: list[_Aggregate] = []
        # Attributes whose value is still to come, with the depth at which it will.
        self._attributes: list[tuple[int, Reply]] = []
        self._failure: ProtocolError | None = None
        # Headers of bulk strings with the line end before them, by what they announce; and the last one's length.
        self._sizes: dict[bytes, int] = {}
        self._width = 0

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the peer, any number of them."""
        if not self._chunks and self._position == len(self._buffer) and self._rest is None:
            self._buffer = data
            self._position = 0
            self._missing_line = False
        elif data:
            self._chunks.append(data)
            self._chunk_bytes += len(data)
            if self._missing_line and b"\n" in data:
                self._missing_line = False

    def next_reply(self) -> Reply | NeedData:
        """Return the next whole reply, or `NEED_DATA`.

        Raises `ProtocolError` when the bytes are not RESP, or exceed the limits.
        """
        if self._failure is not None:
            raise ProtocolError(self._failure.message)
        try:
            if (self._chunks or self._missing_line) and not self._join():
                return NEED_DATA
            return self._parse()
        except ProtocolError as exc:
            self._failure = exc
            raise

    def _join(self) -> bool:
        """Make one buffer of what is left and what came, once the element in hand can be read from it."""
        if self._missing_line:
            # Beside what counts there is the type before it, and perhaps a CR after it.
            if len(self._buffer) - self._position + self._chunk_bytes > self._limits.line_bytes + 2:
                raise ProtocolError("the server sent a line that is too long")
            return False
        if self._chunk_bytes < self._missing_bytes:
            return False
        tail = self._buffer[self._position :]
        if self._rest is not None:
            chunk, start = self._rest
            self._rest = None
            tail += chunk[start:]
        elif len(self._chunks) == 1 and self._missing_bytes:
            # Only the element in hand needs to be in one piece; what follows it is read where it is.
            [chunk] = self._chunks
            self._rest = (chunk, self._missing_bytes)
            self._chunks[0] = chunk[: self._missing_bytes]
        self._buffer = b"".join((tail, *self._chunks))
        self._position = 0
        self._chunks.clear()
        self._chunk_bytes = self._missing_bytes = 0
        return True

    def _parse(self) -> Reply | NeedData:
        buffer = self._buffer
        position = self._position
        stack = self._stack
        find = buffer.find
        kind = _BULK
        while True:
            if stack and kind in _BEFORE_A_RUN and stack[-1].missing > _RUN and position > 1:
                position = self._take_run(position, stack[-1])
            end = find(b"\r\n", position)
            if end < 0:
                if self._rest is not None and position == len(buffer):
                    buffer, position = self._rest
                    self._rest = None
                    self._buffer = buffer
                    find = buffer.find
                    continue
                return self._wait_for_line(position)
            kind = buffer[position]
            start = end + 2
            value: Reply
            if kind == _BULK:
                header = buffer[position:end]
                size = self._length(kind, header[1:], self._limits.bulk_bytes)
                if size < 0:
                    value = None
                else:
                    end = start + size
                    if len(buffer) < end + 2:
                        return self._wait_for_bytes(position, end + 2)
                    if buffer[end] != 13 or buffer[end + 1] != 10:
                        raise ProtocolError("the server sent a bulk string that is longer than announced")
                    value = buffer[start:end]
                    start = end + 2
                    if stack:
                        self._remember(header, size)
            elif (value := _COMMON.get(buffer[position:end], _UNCOMMON)) is not _UNCOMMON:
                pass
            elif kind in _AGGREGATES:
                count = self._length(kind, buffer[position + 1 : end], self._limits.elements)
                if count > 0:
                    self._open(kind, count)
                    position = start
                    continue
                if kind == _ATTRIBUTE:
                    position = start
                    continue
                value = None if count < 0 else _build(kind, [])
            elif kind in b"=!":
                end = start + self._length(kind, buffer[position + 1 : end], self._limits.bulk_bytes)
                if len(buffer) < end + 2:
                    return self._wait_for_bytes(position, end + 2)
                if buffer[end] != 13 or buffer[end + 1] != 10:
                    raise ProtocolError("the server sent a bulk string that is longer than announced")
                value = (
                    _bulk_error(buffer[start:end]) if kind == _BULK_ERROR else _verbatim(buffer[start:end])
                )
                start = end + 2
            else:
                value = self._scalar(kind, buffer[position + 1 : end])
            position = start
            if self._attributes:
                value = self._attributed(value)
            while stack:
                aggregate = stack[-1]
                aggregate.items.append(value)
                aggregate.missing -= 1
                if aggregate.missing:
                    break
                stack.pop()
                value = _build(aggregate.kind, aggregate.items)
                if aggregate.kind == _ATTRIBUTE:
                    # It stands before the value that it belongs to, and counts as no member of what holds that.
                    if self._keep_attributes:
                        self._attributes.append((len(stack), value))
                    break
                if self._attributes:
                    value = self._attributed(value)
            else:
                self._position = position
                return value

    def _take_run(self, position: int, aggregate: _Aggregate) -> int:
        """Move a run of bulk strings into the aggregate, at most all but its last member; return where it ended.

        A header is looked up together with the CRLF before it, which ends the member before. So one look proves type,
        length and both line ends, and only the end of the last member is left to check.
        """
        buffer = self._buffer
        look_up = self._sizes.get
        width = self._width
        items = aggregate.items
        append = items.append
        already = len(items)
        here = last = position - 2
        for _ in range(aggregate.missing - 1):
            start = here + width
            size = look_up(buffer[here:start])
            if size is None:
                # A header of another width perhaps; else the general way finds out what it is.
                start = buffer.find(b"\r\n", here + 2) + 2
                size = look_up(buffer[here:start])
                if size is None:
                    break
                width = start - here
            last = here
            here = start + size
            append(buffer[start:here])
        taken = len(items) - already
        if taken and buffer[here : here + 2] != b"\r\n":
            items.pop()
            taken -= 1
            here = last
        aggregate.missing -= taken
        return here + 2

    def _remember(self, header: bytes, size: int) -> None:
        header = b"\r\n%b\r\n" % header
        self._width = len(header)
        if header not in self._sizes:
            if len(self._sizes) >= _REMEMBERED:
                self._sizes.clear()
            self._sizes[header] = size

    def _wait_for_bytes(self, position: int, end: int) -> NeedData:
        self._position = position
        self._missing_bytes = end - len(self._buffer)
        return NEED_DATA

    def _wait_for_line(self, position: int) -> NeedData:
        self._position = position
        rest = len(self._buffer) - position
        if rest:
            if self._buffer[position] not in _TYPES:
                raise ProtocolError("the server does not speak RESP")
            if self._buffer.find(b"\n", position) >= 0:
                raise ProtocolError("the server sent a line that does not end in CRLF")
            if rest > self._limits.line_bytes + 2:
                raise ProtocolError("the server sent a line that is too long")
            self._missing_line = True
        return NEED_DATA

    def _length(self, kind: int, line: bytes, limit: int) -> int:
        if line.isdigit() and len(line) <= 18:
            length = int(line)
            if length > limit:
                raise ProtocolError("the server sent a reply that is larger than this client accepts")
            return length
        if line == b"-1" and kind in b"$*":
            return -1
        if line == b"?" and (name := _STREAMED.get(chr(kind))):
            raise ProtocolError(f"the server sent a streamed {name}, which this client does not read")
        raise ProtocolError("the server sent a length that is not a number")

    def _open(self, kind: int, count: int) -> None:
        if len(self._stack) >= self._limits.depth:
            raise ProtocolError("the server sent a reply that is nested too deeply")
        if kind == _PUSH and self._stack:
            raise ProtocolError("the server sent a push inside another reply")
        self._stack.append(_Aggregate(kind, 2 * count if kind in b"%|" else count))

    def _attributed(self, value: Reply) -> Reply:
        while self._attributes and self._attributes[-1][0] == len(self._stack):
            value = Attributed(value, self._attributes.pop()[1])
        return value

    def _scalar(self, kind: int, line: bytes) -> Reply:
        """Read a value that is one line."""
        if len(line) > self._limits.line_bytes:
            raise ProtocolError("the server sent a line that is too long")
        if kind == _NUMBER:
            return int(line) if line.isdigit() and len(line) <= 18 else _integer(line, bits=64)
        if kind == _SIMPLE:
            return _line_text(line)
        if kind == _ERROR:
            return ServerError(_line_text(line))
        if kind == _NULL and not line:
            return None
        if kind == _BOOLEAN and line in {b"t", b"f"}:
            return line == b"t"
        if kind == _DOUBLE and _FLOAT.fullmatch(line):
            return float(line)
        if kind == _BIG_NUMBER:
            return _integer(line)
        if kind in b";.":
            raise ProtocolError("the server sent a part of a streamed reply, which this client does not read")
        raise ProtocolError("the server does not speak RESP")


def _line_text(line: bytes) -> str:
    # The spec, "Simple string": neither CR nor LF inside. What is not UTF-8 survives a round trip all the same.
    if b"\n" in line or b"\r" in line:
        raise ProtocolError("the server sent a line that does not end in CRLF")
    return line.decode("utf-8", "surrogateescape")


def _integer(line: bytes, bits: int | None = None) -> int:
    if not _INTEGER.fullmatch(line):
        raise ProtocolError("the server sent a number that is none")
    try:
        value = int(line)
    except ValueError as exc:
        # Python's own guard against numbers that take quadratic time to read.
        raise ProtocolError("the server sent a number that is too long") from exc
    if bits is not None and not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ProtocolError("the server sent a number that is too long")
    return value


def _bulk_error(payload: bytes) -> ServerError:
    return ServerError(payload.decode("utf-8", "surrogateescape"))


def _verbatim(payload: bytes) -> VerbatimString:
    if payload[3:4] != b":" or not payload[:3].isascii():
        raise ProtocolError("the server sent a verbatim string without a format")
    return VerbatimString(payload[4:], payload[:3].decode("ascii"))


def _build(kind: int, items: list[Reply]) -> Reply:
    """Make the Python value of an aggregate whose members are all there."""
    if kind in b"%|":
        pairs = list(zip(items[::2], items[1::2], strict=True))
        try:
            mapping = dict(pairs)
        except TypeError:
            return pairs
        return mapping if len(mapping) == len(pairs) else pairs
    if kind == _SET:
        try:
            members = set(items)
        except TypeError:
            return items
        return members if len(members) == len(items) else items
    if kind == _PUSH:
        return Push(items)
    return items
