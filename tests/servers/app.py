"""What the servers serve in these tests: one agent three times, at the root and behind two kinds of host."""

from pydantic_ai import Agent

from pais_lite import serve
from pais_lite.http.types import Receive, Scope, Send

MAX_REQUEST_BYTES = 100_000

_agent = Agent(name="served")
_cancelling = serve(_agent, max_request_bytes=MAX_REQUEST_BYTES, on_disconnect="cancel")
_continuing = serve(_agent, max_request_bytes=MAX_REQUEST_BYTES, on_disconnect="continue")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve `/continue/…` from a server that finishes what was begun, `/stripped/…` and the rest from another."""
    path = scope.get("path", "")
    if path.startswith("/continue/"):
        # As Starlette mounts: the full path, and the prefix beside it.
        await _continuing({**scope, "root_path": "/continue"}, receive, send)
    elif path.startswith("/stripped/"):
        # As older hosts mount: what is behind the prefix.
        await _cancelling(
            {**scope, "path": path.removeprefix("/stripped"), "root_path": "/stripped"}, receive, send
        )
    else:
        await _cancelling(scope, receive, send)
