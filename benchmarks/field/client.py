"""The client of all servers: raw connections that note when bytes came, and make sense of them afterwards.

While a stream runs, only arrival times and bytes are kept, so that reading costs as little as it can whatever the server
writes; what the tokens were, and whether the text is right, is worked out when it has ended.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from benchmarks.field.dialects import Dialect
from benchmarks.field.endpoint import whole_text

__all__ = ["Answer", "Connection", "WrongAnswer", "connection", "prompt", "saturate", "tokens_in"]

_READ_BYTES = 1 << 18
_ANSWER_SECONDS = 600.0


class WrongAnswer(Exception):
    """A server did not answer with the text that the model said."""


@dataclass(frozen=True)
class Answer:
    """The pieces of text of a streamed answer, and when each of them was here, in seconds since the request."""

    pieces: list[tuple[float, str]]
    asked_at: float

    @property
    def text(self) -> str:
        """All the text."""
        return "".join(piece for _, piece in self.pieces)


def prompt(tokens: int, rate: int = 0) -> str:
    """Return what makes the model say so many tokens, so many a second; 0 is as fast as they are taken."""
    return f"tokens={tokens} rate={rate}"


class Connection:
    """One connection, which asks one thing after the other."""

    def __init__(self, dialect: Dialect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._dialect = dialect
        self._reader = reader
        self._writer = writer

    async def whole(self, tokens: int) -> None:
        """Ask for a whole answer, or a streamed one where there is no other; raises `WrongAnswer`."""
        if self._dialect.whole_path is None:
            await self.stream(tokens)
            return
        _, body = await self._ask(self._dialect.request(prompt(tokens), stream=False))
        data = b"".join(piece for _, piece in body)
        try:
            text = self._dialect.whole_text(json.loads(data))
        except (ValueError, LookupError, TypeError) as exc:
            raise WrongAnswer(repr(data[-500:])) from exc
        _check(text, tokens)

    async def stream(self, tokens: int, rate: int = 0) -> Answer:
        """Ask for a streamed answer; raises `WrongAnswer`."""
        asked_at, body = await self._ask(self._dialect.request(prompt(tokens, rate), stream=True))
        answer = Answer(self._pieces(asked_at, body), asked_at)
        if rate:
            if len(answer.text.split()) != tokens:
                raise WrongAnswer(
                    f"{len(answer.text.split())} tokens instead of {tokens}: {answer.text[-300:]!r}"
                )
        else:
            _check(answer.text, tokens)
        return answer

    def _pieces(self, asked_at: float, body: list[tuple[float, bytes]]) -> list[tuple[float, str]]:
        pieces: list[tuple[float, str]] = []
        kept = b""
        for at, data in body:
            # Events end with an empty line, whichever way the server writes its lines' ends.
            *events, kept = (kept + data).replace(b"\r\n", b"\n").split(b"\n\n")
            for event in events:
                for line in event.split(b"\n"):
                    if not line.startswith(b"data:") or line.strip() == b"data: [DONE]":
                        continue
                    try:
                        text = self._dialect.event_text(json.loads(line[5:]))
                    except (ValueError, LookupError, TypeError) as exc:
                        raise WrongAnswer(repr(line[:500])) from exc
                    if text:
                        pieces.append((at - asked_at, text))
        return pieces

    async def _ask(self, request: bytes) -> tuple[float, list[tuple[float, bytes]]]:
        """Return when the request was sent, and the body in the pieces in which it came."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            asked_at = time.monotonic()
            self._writer.write(request)
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise WrongAnswer(repr(head + await self._reader.read(2000)))
            if b"transfer-encoding: chunked" in head:
                body = await self._chunks()
            else:
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                body = [(0.0, await self._reader.readexactly(length))]
        return asked_at, body

    async def _chunks(self) -> list[tuple[float, bytes]]:
        """Read a chunked body to its end, and take its framing off."""
        arrived: list[tuple[float, bytes]] = []
        end = b""
        while not end.endswith(b"\r\n0\r\n\r\n"):
            data = await self._reader.read(_READ_BYTES)
            if not data:
                raise WrongAnswer(f"the connection ended in the middle of the answer: {end!r}")
            arrived.append((time.monotonic(), data))
            end = (end + data)[-7:]
        return list(_without_framing(arrived))


def _without_framing(arrived: list[tuple[float, bytes]]) -> list[tuple[float, bytes]]:
    """Return the content of the HTTP chunks, each part with the time at which it came."""
    content: list[tuple[float, bytes]] = []
    line, left, after = b"", 0, False
    for at, data in arrived:
        place = 0
        while place < len(data):
            if left:
                part = data[place : place + left]
                content.append((at, part))
                place += len(part)
                left -= len(part)
                after = not left
                continue
            end = data.find(b"\n", place)
            line += data[place : end + 1] if end >= 0 else data[place:]
            place = end + 1 if end >= 0 else len(data)
            if end < 0:
                break
            if after:
                after = False
            elif line.strip():
                left = int(line.split(b";")[0], 16)
            line = b""
    return content


@asynccontextmanager
async def connection(dialect: Dialect, port: int) -> AsyncIterator[Connection]:
    """Connect to a server until the block ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_READ_BYTES)
    try:
        yield Connection(dialect, reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def saturate(dialect: Dialect, port: int, streams: int, tokens: int) -> None:
    """Have so many streams at once, as fast as they go; raises `WrongAnswer`."""

    async def one() -> None:
        async with connection(dialect, port) as asking:
            await asking.stream(tokens)

    await asyncio.gather(*(one() for _ in range(streams)))


def tokens_in(answer: Answer) -> list[tuple[float, float]]:
    """Return for each token of a paced answer when the model wrote it and when it was here, on the shared clock."""
    return [(float(word), answer.asked_at + at) for at, piece in answer.pieces for word in piece.split()]


def _check(text: str, tokens: int) -> None:
    if text != whole_text(tokens):
        raise WrongAnswer(f"not what the model said: {text[-300:]!r}")
