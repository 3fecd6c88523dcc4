"""HTTP/1.1 by hand over a real socket, for what no client library would send; and waits for what has no event."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio

from tests.support.asgi import Answer

TIMEOUT = 20.0


@dataclass
class Connection:
    """One connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        with anyio.fail_after(TIMEOUT):
            await self.writer.drain()

    async def answer(self, *, head_only: bool = False) -> Answer:
        """Read one whole answer."""
        with anyio.fail_after(TIMEOUT):
            answer = await self.head()
            if head_only or answer.status == 204:
                return answer
            if answer.headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readline(), 16):
                    answer.body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readline()
            elif "content-length" in answer.headers:
                answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
            else:
                answer.body = await self.reader.read()
            return answer

    async def head(self) -> Answer:
        """Read the head of an answer."""
        with anyio.fail_after(TIMEOUT):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Answer(int(lines[0].split(" ")[1]), headers)

    async def until(self, text: bytes) -> bytes:
        """Read until `text` has come."""
        with anyio.fail_after(TIMEOUT):
            return await self.reader.readuntil(text)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Connect for as long as the block lasts."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Connection(reader, writer)
    finally:
        # Cut rather than said good-bye to: nothing in flight is waited for.
        writer.transport.abort()


def request_bytes(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a request; a body has a Content-Length and is JSON unless `headers` say otherwise."""
    lines = {"host": "testserver", **{name.replace("_", "-"): value for name, value in headers.items()}}
    if body and "transfer-encoding" not in lines:
        lines.setdefault("content-length", str(len(body)))
        lines.setdefault("content-type", "application/json")
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body


async def until(condition: Callable[[], Awaitable[Any] | Any], *, timeout: float = TIMEOUT) -> None:
    """Wait for what another process or thread does, and so cannot tell."""
    with anyio.fail_after(timeout):
        while True:
            found = condition()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return
            await anyio.sleep(0.02)
