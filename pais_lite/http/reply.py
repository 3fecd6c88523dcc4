"""What goes back to the client: a response as a value, and the outbound half of one request that sends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import time_ns
from typing import Any

import anyio

from pais_lite.encoding import dump_json
from pais_lite.http.types import ClientDisconnected, HeaderList, Message, Send

__all__ = ["Reply", "Response", "json_response"]

# A client that takes nothing at all for this long, while something waits for it, is as good as gone.
WRITE_TIMEOUT = 60.0
# No answer is to be taken for anything but what it says it is, and none is for anybody else than who asked.
_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer. Header names are lower-case, as ASGI has them."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that holds `value` as JSON."""
    return Response(status, dump_json(value), {"content-type": "application/json", **(headers or {})})


class Reply:
    """The outbound half of one request: either one `respond`, or `start`, any number of `write`, and `end`.

    Each raises `ClientDisconnected` when the client has left, or has read nothing for `WRITE_TIMEOUT` seconds.
    """

    def __init__(self, send: Send, *, head_only: bool = False) -> None:
        self.headers = _HEADERS.copy()
        self.status: int | None = None
        self.is_logged = False  # whether a line of the log tells of this request already
        # When the last of it was about to be sent, in nanoseconds since the epoch. Whoever asked may go on from then.
        self.ended_at: int | None = None
        self._send = send
        self._head_only = head_only

    @property
    def started(self) -> bool:
        """Whether the status and the headers have been sent; from then on, nothing else can be answered."""
        return self.status is not None

    async def respond(self, response: Response) -> None:
        """Send a whole answer. `headers` of this reply go along; the response's own win."""
        self.headers.update(response.headers)
        if response.status not in (204, 304):  # RFC 9110, section 8.6
            self.headers["content-length"] = str(len(response.body))
        body = b"" if self._head_only else response.body
        head = self._head(response.status)
        self.ended_at = time_ns()
        await self._deliver(head, {"type": "http.response.body", "body": body})

    async def start(self, status: int) -> None:
        """Send the status and the headers set so far."""
        await self._deliver(self._head(status))

    async def write(self, data: bytes) -> None:
        """Send a piece of the body; waits while the client reads more slowly than we write."""
        await self._deliver({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last piece of the body."""
        self.ended_at = time_ns()
        await self._deliver({"type": "http.response.body", "body": data})

    def _head(self, status: int) -> Message:
        headers = _encode(self.headers)
        self.status = status
        return {"type": "http.response.start", "status": status, "headers": headers}

    async def _deliver(self, *messages: Message) -> None:
        try:
            with anyio.move_on_after(WRITE_TIMEOUT) as patience:
                for message in messages:
                    await self._send(message)
        except OSError as exc:
            # What ASGI servers raise when the client has left (ASGI 3.0, "Disconnected Client").
            raise ClientDisconnected from exc
        if patience.cancelled_caught:
            raise ClientDisconnected


def _encode(headers: Mapping[str, str]) -> HeaderList:
    """Return headers as ASGI has them.

    Raises:
        ValueError: a value holds a control character, which would let it pose as further headers (RFC 9110, 5.5).
    """
    encoded: HeaderList = []
    for name, value in headers.items():
        if not value.isprintable():
            raise ValueError(f"the value of header {name!r} holds a control character")
        encoded.append((name.encode("ascii"), value.encode("latin-1", "replace")))
    return encoded
