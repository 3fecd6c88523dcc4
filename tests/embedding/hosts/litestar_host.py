"""Litestar, which hands on the rest of the path, and leaves it to the handler to say what came before it."""

from typing import Any

from litestar import Litestar, MediaType, Request, Response, asgi, get

from tests.embedding.agents import first, second


@get("/hello", media_type=MediaType.TEXT, sync_to_thread=False)
def hello() -> str:
    """Answer a route of the host's own."""
    return "hello from the host"


@get("/boom", media_type=MediaType.TEXT, sync_to_thread=False)
def boom() -> str:
    """Fail as hosts do."""
    raise LookupError


def sorry(request: Request[Any, Any, Any], exc: LookupError) -> Response[str]:
    """Answer errors as this host does."""
    return Response("the host is sorry", status_code=500, media_type=MediaType.TEXT)


@asgi("/agents/first", is_mount=True, copy_scope=True)
async def mount_first(scope: Any, receive: Any, send: Any) -> None:
    """Hand requests to the first agent."""
    await first({**scope, "root_path": "/agents/first"}, receive, send)


@asgi("/agents/second", is_mount=True, copy_scope=True)
async def mount_second(scope: Any, receive: Any, send: Any) -> None:
    """Hand requests to the second agent."""
    await second({**scope, "root_path": "/agents/second"}, receive, send)


async def mark(message: Any, scope: Any) -> None:
    """Mark all that leaves the host."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], (b"x-host", b"litestar")]


app = Litestar(
    [hello, boom, mount_first, mount_second], exception_handlers={LookupError: sorry}, before_send=[mark]
)
