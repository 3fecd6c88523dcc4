"""A scripted OpenAI-compatible model endpoint on a loopback port: says what it is told to, when it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class ModelCall:
    """One request that the endpoint got, and the connection to answer it on."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader

    async def start_stream(self) -> None:
        """Send the head of an event stream."""
        self.writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        await self.writer.drain()

    async def event(self, payload: Any) -> None:
        """Send one event; a text goes as it is, anything else as JSON."""
        data = payload if isinstance(payload, str) else json.dumps(payload)
        await self.raw(f"data: {data}\n\n".encode())

    async def raw(self, data: bytes) -> None:
        """Send bytes as one HTTP chunk."""
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()

    async def text(self, content: str, **fields: Any) -> None:
        """Send a chunk with a piece of text."""
        await self.event(chunk({"content": content}, **fields))

    async def end_stream(self, finish_reason: str = "stop", usage: dict[str, int] | None = None) -> None:
        """Send the finish reason, the usage and the end."""
        await self.event(chunk({}, finish_reason=finish_reason))
        await self.event({**chunk({}), "choices": [], "usage": usage or USAGE})
        await self.event("[DONE]")
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def respond(self, status: int, body: Any, headers: str = "") -> None:
        """Send a whole answer."""
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n{headers}\r\n"
        self.writer.write(head.encode() + data)
        await self.writer.drain()

    async def complete(self, content: str, finish_reason: str = "stop") -> None:
        """Answer with text, as a stream or whole, as the request asked for."""
        if self.body.get("stream"):
            await self.start_stream()
            for piece in content.split(" "):
                await self.text(piece if content.startswith(piece) else " " + piece)
            await self.end_stream(finish_reason)
        else:
            await self.respond(200, completion(content, finish_reason))

    async def closed(self) -> None:
        """Return when the client has closed its side."""
        await self.reader.read()


USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def chunk(delta: dict[str, Any], *, finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a chat-completion chunk."""
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        **fields,
    }


def completion(content: str, finish_reason: str = "stop") -> dict[str, Any]:
    """Return a whole chat completion."""
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "scripted",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish_reason}
        ],
        "usage": USAGE,
    }


Script = Callable[[ModelCall], Awaitable[None]]


@dataclass
class Endpoint:
    """The running endpoint and the calls that it got."""

    url: str
    calls: list[ModelCall] = field(default_factory=list)
    open_connections: int = 0


@asynccontextmanager
async def model_endpoint(script: Script) -> AsyncIterator[Endpoint]:
    """Serve `script` for as long as the block lasts."""
    endpoint = Endpoint("")
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        endpoint.open_connections += 1
        try:
            while head := await _read_head(reader):
                request, headers = head
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                call = ModelCall(request.split(" ")[1], headers, json.loads(body or b"{}"), writer, reader)
                endpoint.calls.append(call)
                await script(call)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            endpoint.open_connections -= 1
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield endpoint
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    request, *lines = head.decode().strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return request, {name.strip().lower(): value.strip() for name, _, value in pairs}
