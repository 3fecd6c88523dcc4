"""A scripted OpenAI-compatible model endpoint on a loopback port: says what it is told to, when it is told to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from anyio.from_thread import start_blocking_portal

CUE_TIMEOUT = 60.0


@dataclass
class ModelCall:
    """One request that the endpoint got, and the connection to answer it on."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader
    pieces: int = 0

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
        """Send a chunk with a piece of text.

        Each has an id of its own, and so is never joined with its neighbours on the way: tests can count them.
        """
        self.pieces += 1
        await self.event(chunk({"content": content}, **{"id": f"chatcmpl-{self.pieces}", **fields}))

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
            first, *others = content.split(" ")
            for piece in [first, *(f" {word}" for word in others)]:
                await self.text(piece)
            await self.end_stream(finish_reason)
        else:
            await self.respond(200, completion(content, finish_reason))

    async def call_tool(self, name: str, arguments: Mapping[str, Any], call_id: str = "call_1") -> None:
        """Answer with a call of a tool, as a stream or whole, as the request asked for."""
        await self.call_tools((call_id, name, arguments))

    async def call_tools(
        self, *calls: tuple[str, str, Mapping[str, Any]], content: str | None = None
    ) -> None:
        """Answer with calls of tools, each an id, a name and arguments, and with text before them."""
        listed = [
            {"id": i, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for i, name, arguments in calls
        ]
        if self.body.get("stream"):
            await self.start_stream()
            if content:
                await self.text(content)
            for index, call in enumerate(listed):
                await self.event(chunk({"tool_calls": [{"index": index, **call}]}))
            await self.end_stream("tool_calls")
        else:
            message = {"role": "assistant", "content": content, "tool_calls": listed}
            await self.respond(200, completion(message, "tool_calls"))

    async def hang_up(self) -> None:
        """Close the connection, whatever has been said on it."""
        self.writer.close()
        await self.writer.wait_closed()

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


def completion(answer: str | dict[str, Any], finish_reason: str = "stop") -> dict[str, Any]:
    """Return a whole chat completion with a text, or with a whole message."""
    message = {"role": "assistant", "content": answer} if isinstance(answer, str) else answer
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": USAGE,
    }


Script = Callable[[ModelCall], Awaitable[None]]


@dataclass
class Endpoint:
    """The running endpoint and the calls that it got. `script` may be exchanged for what comes next."""

    url: str
    script: Script
    calls: list[ModelCall] = field(default_factory=list)
    open_connections: int = 0


@asynccontextmanager
async def model_endpoint(script: Script) -> AsyncIterator[Endpoint]:
    """Serve `script` for as long as the block lasts."""
    endpoint = Endpoint("", script)
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
                await endpoint.script(call)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The end of the block cancels what is still open; asyncio's streams would log that as a failure.
            pass
        finally:
            endpoint.open_connections -= 1
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield endpoint
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


@contextmanager
def endpoint_in_thread(script: Script) -> Iterator[Endpoint]:
    """Serve `script` on an event loop of its own, for tests and fixtures that have none or that block theirs."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(model_endpoint(script)) as endpoint,
    ):
        yield endpoint


class Cue:
    """Something that a script waits for and that a test gives, each on an event loop or a thread of its own."""

    def __init__(self) -> None:
        self._given: Future[None] = Future()

    def give(self) -> None:
        """Let whoever waits go on, now and from now on."""
        if not self._given.done():
            self._given.set_result(None)

    def wait(self) -> None:
        """Wait for it on a thread; raises `TimeoutError` when it never comes."""
        self._given.result(CUE_TIMEOUT)

    async def given(self) -> None:
        """Wait for it; raises `TimeoutError` when it never comes."""
        async with asyncio.timeout(CUE_TIMEOUT):
            # A waiter that is cancelled leaves the cue to the others.
            await asyncio.shield(asyncio.wrap_future(self._given))


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    request, *lines = head.decode().strip().split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return request, {name.strip().lower(): value.strip() for name, _, value in pairs}
