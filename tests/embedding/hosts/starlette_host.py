"""Starlette, which passes no lifespan events on to what it mounts, and here does not care."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from tests.embedding.agents import first, second


async def hello(request: Request) -> Response:
    """Answer a route of the host's own."""
    return PlainTextResponse("hello from the host")


async def boom(request: Request) -> Response:
    """Fail as hosts do."""
    raise LookupError


async def sorry(request: Request, exc: Exception) -> Response:
    """Answer errors as this host does."""
    return PlainTextResponse("the host is sorry", status_code=500)


async def mark(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Mark all that leaves the host. This middleware runs what is under it in a task group of its own."""
    response = await call_next(request)
    response.headers["x-host"] = "starlette"
    return response


app = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/boom", boom),
        Mount("/agents/first", first),
        Mount("/agents/second", second),
    ],
    middleware=[Middleware(BaseHTTPMiddleware, dispatch=mark)],
    exception_handlers={LookupError: sorry},
)
