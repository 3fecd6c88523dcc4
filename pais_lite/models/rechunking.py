"""HTTP/1.1 chunks that wait together, framed as one: bytes in, bytes out.

A streaming endpoint sends each token in an HTTP chunk of its own, and h11 spends more on parsing each of them than all
the rest of the transport. Where chunks end means nothing, so what one read of the socket brings may as well be a single
chunk. Only the bodies of event streams are framed anew. From the first byte on that is not plain chunked coding (a chunk
extension, the last chunk, a mistake) the bytes pass as they are, for h11 to judge.
"""

import enum
import re
from typing import Final

__all__ = ["ChunkJoiner"]

# h11 gives up on a head that is longer than this.
_MAX_HEAD_BYTES: Final = 100 * 1024
_CHUNK_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,8}")
_MAX_SIZE_LINE_BYTES: Final = 10
_INFORMATIONAL: Final = re.compile(rb"HTTP/1\.1 1")
_FINAL: Final = re.compile(rb"HTTP/1\.1 [2-5]")
_IS_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_IS_EVENT_STREAM: Final = re.compile(rb"\r\ncontent-type:[ \t]*text/event-stream[ \t]*[;\r]", re.IGNORECASE)


class _At(enum.Enum):
    HEAD = enum.auto()
    CHUNKS = enum.auto()
    REST = enum.auto()


class ChunkJoiner:
    """Follows the responses of one connection; what it returns is the same messages in fewer chunks."""

    def __init__(self) -> None:
        self._at = _At.HEAD
        self._head = b""
        self._held = b""  # the line between two chunks, as far as it has come
        self._missing = 0  # bytes of the current chunk's data that have not come
        self._in_chunk = False  # its end of line has not come either

    def request_sent(self) -> None:
        """Expect a response, unless one is just being received."""
        if self._at is not _At.CHUNKS:
            self._at, self._head = _At.HEAD, b""

    def feed(self, data: bytes) -> bytes:
        """Return `data`, framed anew where it can be; empty only if there is nothing yet but a part of a chunk's frame."""
        if self._at is _At.HEAD:
            body = self._body_start(data)
            return data if body is None else data[:body] + self._join(data[body:])
        return self._join(data) if self._at is _At.CHUNKS else data

    def flush(self) -> bytes:
        """Return what was held back when the connection has ended."""
        held, self._held = self._held, b""
        return held

    def _body_start(self, data: bytes) -> int | None:
        """Return where in `data` the chunks begin, or None if they do not."""
        known = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n") + 4
        while end >= 4 and _INFORMATIONAL.match(self._head):
            known -= end
            self._head = self._head[end:]
            end = self._head.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(self._head) > _MAX_HEAD_BYTES:
                self._at = _At.REST
            return None
        head, self._head = self._head[:end], b""
        # h11 takes a bare LF for the end of a line, too, and may see an earlier end of this head.
        is_strict = _FINAL.match(head) and head.count(b"\n") == head.count(b"\r\n")
        if not (is_strict and _IS_CHUNKED.search(head) and _IS_EVENT_STREAM.search(head)):
            self._at = _At.REST
            return None
        self._at = _At.CHUNKS
        return end - known

    def _join(self, data: bytes) -> bytes:
        data = self._held + data
        self._held = b""
        parts: list[bytes] = []
        position = 0
        while position < len(data):
            if self._missing:
                part = data[position : position + self._missing]
                parts.append(part)
                position += len(part)
                self._missing -= len(part)
                continue
            if self._in_chunk:
                if data.startswith(b"\r\n", position):
                    position += 2
                    self._in_chunk = False
                    continue
                if data[position:] != b"\r":
                    # Not what ends a chunk. Leave ours open for h11 to find the same mistake.
                    self._at = _At.REST
                    return _framed(parts)[:-2] + data[position:]
                self._held = data[position:]
                break
            line_end = data.find(b"\r\n", position, position + _MAX_SIZE_LINE_BYTES)
            if line_end < 0 and len(data) - position < _MAX_SIZE_LINE_BYTES:
                self._held = data[position:]
                break
            if line_end < 0 or not _CHUNK_SIZE.fullmatch(data, position, line_end):
                self._at = _At.REST
                return _framed(parts) + data[position:]
            self._missing = int(data[position:line_end], 16)
            if not self._missing:
                self._at = _At.REST
                return _framed(parts) + data[position:]
            self._in_chunk = True
            position = line_end + 2
        return _framed(parts)


def _framed(parts: list[bytes]) -> bytes:
    data = b"".join(parts)
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
