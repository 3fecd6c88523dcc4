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
from functools import partial
from typing import Any, Self

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import AsyncioSingleTask, WorkerContext
from hypercorn.config import Config
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.typing import TaskGroup

from pais_lite.pacing import Spread

__all__ = ["Listening"]

# How long a connection may take to notice that its client is gone. With a request that waits behind another on the same
# connection, hypercorn reads no further, not even to the end, and would wait for ever if the client is cut off meanwhile.
_LOST_SECONDS = 1.0

_log = logging.getLogger("pais_lite.cli")


class Listening:
    """Serves `application` on a listening socket, once it is started, until it is closed.

    Each `sweep_seconds`, connections that have been idle for longer than they may be are let go of.
    """

    def __init__(self, application: Any, config: Config, *, sweep_seconds: float = 10.0) -> None:
        self._application = application
        self._config = config
        self._context = WorkerContext(None)
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._ends = Spread()
        self._sweep_seconds = sweep_seconds
        self._sweeping: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> Self:
        """Accept connections from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Protocol(_Reader(loop=loop), self._accept, self._ends),
            sock=listener,
            backlog=self._config.backlog,
        )
        self._sweep()
        return self

    async def close(self) -> None:
        """Accept no more connections, and end those that are open: idle ones at once, others after `graceful_timeout`."""
        if self._server is not None:
            self._server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
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
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)
        connection.watch_over(task)

    def _sweep(self) -> None:
        # A few answers in HTTP/2 wait for ever inside hypercorn, which has stopped its own timer by then.
        limit = self._config.keep_alive_timeout + self._sweep_seconds
        for task, connection in self._connections.items():
            if connection.idle_seconds > limit:
                task.cancel()
        self._sweeping = asyncio.get_running_loop().call_later(self._sweep_seconds, self._sweep)


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
        protocol = writer.transport.get_protocol()
        assert isinstance(reader, _Reader)
        assert isinstance(protocol, _Protocol)
        self._application = application
        self._reader = reader
        self._writer = writer
        self._protocol = protocol
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
            # They refer to each other, and thousands of connections that were closed together would all stay until
            # garbage is collected, which takes long then.
            vars(self._server).clear()
            self._reader.at_end = None

    def watch_over(self, task: asyncio.Task[None]) -> None:
        """Cancel `task`, which serves the connection, where it would outlive the connection for no reason."""
        self._protocol.ended.add_done_callback(lambda _: self._look_later(task))

    @property
    def idle_seconds(self) -> float:
        """For how long nothing has come, no request has been under way, and nothing of an answer waits to be taken."""
        if self._protocol.requests or self._writer.transport.get_write_buffer_size():
            return 0.0
        return self._loop.time() - self._protocol.active_at

    def _look_later(self, task: asyncio.Task[None]) -> None:
        if not task.done():
            self._loop.call_later(_LOST_SECONDS, self._look, task)

    def _look(self, task: asyncio.Task[None]) -> None:
        if self._protocol.is_lost:
            # A run that goes on without its client has its request wait for it.
            is_over = not (self._protocol.requests and self._reader.at_eof())
        else:
            # The client sends no more, but may wait for an answer, or be taking one.
            is_over = self.idle_seconds > _LOST_SECONDS / 2
        if is_over:
            task.cancel()
        else:
            self._look_later(task)

    async def _handle(self, scope: Any, receive: Any, send: Any) -> None:
        self._protocol.requests += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._protocol.requests -= 1
            self._protocol.active_at = self._loop.time()

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
    """Tells when its client sends no more, when the connection is lost, and when anything came last.

    Proxies close all that they have kept open at once: thousands of connections on which nothing happens end one after
    the other.
    """

    def __init__(self, reader: asyncio.StreamReader, accept: Callable[..., None], ends: Spread) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(reader, accept, loop=loop)
        self.requests = 0  # under way
        self.active_at = loop.time()
        self.ended = loop.create_future()
        self.is_lost = False
        self._ends = ends
        self._now = loop.time

    def data_received(self, data: bytes) -> None:
        self.active_at = self._now()
        super().data_received(data)

    def eof_received(self) -> bool:
        self._tell(self._end)
        # An answer may still be on its way.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell(partial(self._lose, exc))

    def _end(self) -> None:
        super().eof_received()
        self._note_end()

    def _lose(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.is_lost = True
        self._note_end()

    def _note_end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _tell(self, callback: Callable[[], object]) -> None:
        if self.requests:
            callback()
        else:
            self._ends.call(callback)


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
