"""Calls an ASGI application with a handwritten `receive` and `send`."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from pais_lite.http.types import Message, Receive, Scope, Send

TIMEOUT = 10.0


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)

    def frames(self) -> list[str]:
        """Return the payloads of an event stream, in order."""
        return [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]

    def chunks(self) -> list[dict[str, Any]]:
        """Return the decoded chunks of a chat stream, without the final mark."""
        return [json.loads(frame) for frame in self.frames() if frame != "[DONE]"]

    def text(self) -> str:
        """Return the text that a chat stream told."""
        return "".join(
            choice["delta"].get("content") or ""
            for chunk in self.chunks()
            for choice in chunk.get("choices", [])
        )


@dataclass
class Exchange:
    """One request under way: feed it with `send_body` and `disconnect`, watch `answer` grow."""

    answer: Answer = field(default_factory=Answer)
    started: anyio.Event = field(default_factory=anyio.Event)
    wrote: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    sends: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._to_app, self._from_client = anyio.create_memory_object_stream[Message](1000)

    async def receive(self) -> Message:
        """Hand the next message to the application."""
        return await self._from_client.receive()

    async def send(self, message: Message) -> None:
        """Take a message from the application."""
        if message["type"] == "http.response.start":
            self.answer.status = message["status"]
            self.answer.headers = {str(k, "ascii"): str(v, "latin-1") for k, v in message["headers"]}
            self.started.set()
        else:
            self.answer.body += message.get("body", b"")
            self.sends.append(message.get("body", b""))
            self.wrote.set()
            self.wrote = anyio.Event()
            if not message.get("more_body", False):
                self.ended.set()

    def send_body(self, body: bytes, *, more: bool = False) -> None:
        """Send a piece of the request's body."""
        self._to_app.send_nowait({"type": "http.request", "body": body, "more_body": more})

    def disconnect(self) -> None:
        """Leave."""
        self._to_app.send_nowait({"type": "http.disconnect"})

    async def until(self, text: str) -> None:
        """Wait until `text` has been sent to the client."""
        with anyio.fail_after(TIMEOUT):
            while text.encode() not in self.answer.body:
                await self.wrote.wait()

    def close(self) -> None:
        """Let go of the streams."""
        self._to_app.close()
        self._from_client.close()


def make_scope(
    method: str,
    path: str,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    *,
    root_path: str = "",
    query: str = "",
) -> Scope:
    """Return a scope as an ASGI server makes it."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in pairs],
        "client": ("127.0.0.1", 1234),
        "server": ("testserver", 80),
    }


@asynccontextmanager
async def exchange(app: Any, scope: Scope) -> AsyncIterator[Exchange]:
    """Run the application on one request for as long as the block lasts."""
    talk = Exchange()
    async with anyio.create_task_group() as tasks:

        async def run(receive: Receive, send: Send) -> None:
            await app(scope, receive, send)
            talk.ended.set()

        tasks.start_soon(run, talk.receive, talk.send)
        try:
            yield talk
        finally:
            tasks.cancel_scope.cancel()
            talk.close()


async def ask(
    app: Any,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    **scope: str,
) -> Answer:
    """Send one request and return its whole answer; `body` is bytes, or a value that is sent as JSON."""
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("content-type", "application/json")
    if body is not None:
        sent.setdefault("content-length", str(len(body)))
    async with exchange(app, make_scope(method, path, sent, **scope)) as talk:
        talk.send_body(body or b"")
        with anyio.fail_after(TIMEOUT):
            await talk.ended.wait()
        return talk.answer


def chat(text: str = "hi", **fields: Any) -> dict[str, Any]:
    """Return the body of a chat request with one user message."""
    return {"model": "agent", "messages": [{"role": "user", "content": text}], **fields}
