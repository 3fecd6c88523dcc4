"""The connections of `pais run`: hypercorn speaks HTTP on each, and we decide when one is over.

Strategy. `hypercorn.asyncio.serve` accepts connections by itself, and two things about that are no good here: one that
its client has closed stays open until it has been idle for `keep_alive_timeout`, with its file and its tasks, so a
hundred short connections a second are soon ten thousand open ones; and what a client does to HTTP/2 can end a connection
with an exception that nobody takes, which asyncio reports with a traceback each time. So the accepting is done here,
and the rest, from the first byte of a connection to its last, by hypercorn's `TCPServer`.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Self

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import AsyncioSingleTask, WorkerContext
from hypercorn.config import Config
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.typing import TaskGroup

__all__ = ["Listening"]

# How long a connection that is lost may take to notice. With a request that waits behind another on the same connection,
# hypercorn reads no further, not even to the end, and would wait for ever if the client is cut off meanwhile.
_LOST_SECONDS = 1.0

_log = logging.getLogger("pais_lite.cli")


class Listening:
    """Serves `application` on a listening socket, once it is started, until it is closed."""

    def __init__(self, application: Any, config: Config) -> None:
        self._application = application
        self._config = config
        self._context = WorkerContext(None)
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> Self:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Protocol(_Reader(loop=loop), self._accept, loop=loop),
            sock=listener,
            backlog=self._config.backlog,
        )
        return self

    async def close(self) -> None:
        """Accept no more connections, and end those that are open: idle ones at once, others after `graceful_timeout`."""
        if self._server is not None:
            self._server.close()
        await self._context.terminated.set()
        if self._connections:
            await asyncio.wait(self._connections, timeout=self._config.graceful_timeout)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: the one that asyncio would make logs a traceback when it is cancelled (Python 3.11).
        connection = _Connection(self._application, self._config, self._context, reader, writer)
        task = asyncio.get_running_loop().create_task(connection.serve())
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        connection.watch_over(task)


class _Connection:
    """One connection, from its first byte until nothing of it is left."""

    def __init__(
        self,
        application: Any,
        config: Config,
        context: WorkerContext,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        assert isinstance(reader, _Reader)
        self._application = application
        self._reader = reader
        self._writer = writer
        self._requests = 0
        self._loop = asyncio.get_running_loop()
        wrapped = ASGIWrapper(self._handle)
        self._server = TCPServer(wrapped, self._loop, config, context, {}, reader, writer)
        self._server.idle_task = self._idle = _IdleTimer()
        reader.at_end = self._end

    async def serve(self) -> None:
        """Serve what the client asks for, until it leaves or hypercorn closes the connection."""
        try:
            await self._server.run()
        except Exception as exc:  # noqa: BLE001 - whatever a client did to its connection, it did to no other
            # What the application raises does not come here: hypercorn has logged it, and answered with 500.
            _log.info("a connection broke the protocol and was closed: %r", exc)
        finally:
            self._writer.transport.abort()

    def watch_over(self, task: asyncio.Task[None]) -> None:
        """Cancel `task`, which serves the connection, where it would outlive the connection for no reason."""

        def look() -> None:
            if task.done():
                return
            if self._requests and self._reader.at_eof():
                # A run that goes on without its client has its request wait for it.
                self._loop.call_later(_LOST_SECONDS, look)
            else:
                task.cancel()

        protocol = self._writer.transport.get_protocol()
        assert isinstance(protocol, _Protocol)
        protocol.lost.add_done_callback(lambda _: self._loop.call_later(_LOST_SECONDS, look))

    async def _handle(self, scope: Any, receive: Any, send: Any) -> None:
        self._requests += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._requests -= 1

    async def _end(self) -> None:
        await self._idle.end()
        await _release_writers(self._server)


async def _release_writers(connection: TCPServer) -> None:
    """Let go of those who wait until a client of HTTP/2 has taken what they wrote: it is gone, and they would wait on."""
    protocol = connection.protocol.protocol
    if isinstance(protocol, H2Protocol):
        for buffer in protocol.stream_buffers.values():
            await buffer.close()


class _Protocol(asyncio.StreamReaderProtocol):
    """Tells when its connection is lost, in both directions."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.lost.set_result(None)


class _Reader(asyncio.StreamReader):
    """Calls `at_end` when all has been read. Who reads learns of that from an empty read, and only from there."""

    at_end: Callable[[], Awaitable[None]] | None = None
    _has_told = False

    async def read(self, n: int = -1) -> bytes:
        data = b""
        try:
            data = await super().read(n)
        finally:
            # At its end, or because it raised: the client has cut the connection.
            if not data and not self._has_told:
                self._has_told = True
                if self.at_end is not None:
                    await self.at_end()
        return data

    def at_eof(self) -> bool:
        return self._has_told


class _IdleTimer(AsyncioSingleTask):
    """What ends a connection that is idle for too long, and what hypercorn waits for before it lets go of one."""

    def __init__(self) -> None:
        super().__init__()
        self._has_ended = False

    async def restart(self, task_group: TaskGroup, action: Callable[..., Any]) -> None:
        """Begin to wait anew. An answer that nobody reads any more ends like others, and would be waited after."""
        if not self._has_ended:
            await super().restart(task_group, action)

    async def end(self) -> None:
        """Stop, for good."""
        self._has_ended = True
        await self.stop()
