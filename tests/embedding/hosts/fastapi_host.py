"""FastAPI, with the decorators that its users know."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from tests.embedding.agents import first, second

app = FastAPI()
app.mount("/agents/first", first)
app.mount("/agents/second", second)


@app.get("/hello")
async def hello() -> Response:
    """Answer a route of the host's own."""
    return PlainTextResponse("hello from the host")


@app.get("/boom")
async def boom() -> None:
    """Fail as hosts do."""
    raise LookupError


@app.exception_handler(LookupError)
async def sorry(request: Request, exc: LookupError) -> Response:
    """Answer errors as this host does."""
    return PlainTextResponse("the host is sorry", status_code=500)


@app.middleware("http")
async def mark(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Mark all that leaves the host."""
    response = await call_next(request)
    response.headers["x-host"] = "fastapi"
    return response
