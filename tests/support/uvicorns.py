"""ASGI applications on loopback ports, served by uvicorn on a thread of this process: no process to start."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from anyio.from_thread import start_blocking_portal

START_TIMEOUT = 20.0


@asynccontextmanager
async def served(app: Any, port: int = 0) -> AsyncIterator[str]:
    """Serve an application for as long as the block lasts; yields its URL."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, ws="none", log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    # As `serve` does, without taking the signals of the process.
    task = asyncio.create_task(server._serve())
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while not server.started:
                assert not task.done(), "uvicorn ended before it was ready"
                await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@contextmanager
def served_in_thread(app: Any, port: int = 0) -> Iterator[str]:
    """Serve an application on an event loop of its own."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(served(app, port)) as url,
    ):
        yield url
