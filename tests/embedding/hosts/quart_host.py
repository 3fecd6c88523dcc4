"""Quart under hypercorn's dispatcher, which hands lifespan events to everything it mounts."""

from typing import Any

from hypercorn.middleware import DispatcherMiddleware
from quart import Quart, Response

from tests.embedding.agents import first, second

_quart = Quart(__name__)


@_quart.get("/hello")
async def hello() -> str:
    """Answer a route of the host's own."""
    return "hello from the host"


@_quart.get("/boom")
async def boom() -> str:
    """Fail as hosts do."""
    raise LookupError


@_quart.errorhandler(LookupError)
async def sorry(exc: LookupError) -> tuple[str, int]:
    """Answer errors as this host does."""
    return "the host is sorry", 500


@_quart.after_request
async def mark(response: Response) -> Response:
    """Mark what Quart itself answers."""
    response.headers["x-host"] = "quart"
    return response


# hypercorn describes ASGI more narrowly than the specification does.
_mounts: dict[str, Any] = {"/agents/first": first, "/agents/second": second, "": _quart}
app = DispatcherMiddleware(_mounts)
