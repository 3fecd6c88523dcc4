"""The streaming transport: under the model's HTTP client, it joins the tokens that wait.

A token costs Pydantic AI about half a millisecond, and `httpcore2` hands out one HTTP chunk at a time, which is one
token. So a task of the response's own, the pump, drains the upstream connection into a buffer, and whoever reads the
response gets all that the buffer holds, its text deltas joined by `pais_lite.models.merging`. Nobody ever waits for a
second token: as long as the reader keeps up, each token travels alone and at once.

The pump is an asyncio task, for Pydantic AI runs on asyncio only. It belongs to the response: the first read starts
it, and the end of the stream, `aclose`, or a cancelled read ends it and closes the connection with it.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable
from typing import Final, Self

import anyio
import httpcore2
import httpx2

from pais_lite.models.merging import DeltaMerger
from pais_lite.models.network import JoiningBackend, PoolTransport
from pais_lite.models.retrying import RetryingTransport
from pais_lite.pacing import Turnstile

__all__ = ["MAX_WAITING_BYTES", "MergedStream", "MergingTransport", "streaming_client"]

# About a thousand tokens. Whoever is further behind makes the upstream server wait.
MAX_WAITING_BYTES: Final = 256 * 1024

# Asking for more costs a tenth of a millisecond when there is nothing yet. So a token that comes after a silence gets a
# lead of some turns of the event loop, in which it goes through the tasks of Pydantic AI and out to its client.
_TURNS_OF_LEAD: Final = 4

# What is read costs about a millisecond until it is with its client, and a turn of the event loop, of which any other
# request needs a dozen, lasts as long as all that is read in it. A hundred streams at once would make seconds of that.
_FIRST_READS_PER_TURN: Final = 8


class MergingTransport(httpx2.AsyncBaseTransport):
    """Wraps a transport; joins the chat-completion text deltas of event streams that have already arrived.

    Responses that are no event stream, that are compressed, or that tell of an error pass untouched. `max_waiting` is
    the number of bytes of one response that may wait for its reader before its connection is read no further.
    """

    def __init__(self, inner: httpx2.AsyncBaseTransport, *, max_waiting: int = MAX_WAITING_BYTES) -> None:
        self._inner = inner
        self._max_waiting = max_waiting
        self._turnstile = Turnstile(_FIRST_READS_PER_TURN)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request by the wrapped transport and return its response; raises what that transport raises."""
        response = await self._inner.handle_async_request(request)
        if not _is_plain_event_stream(response) or not isinstance(response.stream, httpx2.AsyncByteStream):
            return response
        # The joined body is shorter than it was announced.
        headers = [(name, value) for name, value in response.headers.raw if name.lower() != b"content-length"]
        return httpx2.Response(
            response.status_code,
            headers=headers,
            stream=MergedStream(response.stream, max_waiting=self._max_waiting, turnstile=self._turnstile),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


class MergedStream(httpx2.AsyncByteStream):
    """The body of one event-stream response, each read returning all that has arrived since the last one.

    There is one reader, and iterating again goes on where the last iteration stopped. What the inner stream raises is
    raised after everything that arrived before it. A read that is cancelled closes the stream; reading on after that,
    or after `aclose`, raises `httpx2.ReadError` unless the body had ended.
    """

    def __init__(
        self,
        inner: httpx2.AsyncByteStream,
        *,
        max_waiting: int = MAX_WAITING_BYTES,
        turnstile: Turnstile | None = None,
    ) -> None:
        self._inner = inner
        self._max_waiting = max_waiting
        self._turnstile = turnstile or Turnstile(_FIRST_READS_PER_TURN)
        self._merger = DeltaMerger()
        self._waiting = bytearray()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._is_pumping = False
        self._has_paused = False
        self._is_inner_closed = False
        self._is_closed = False
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._pump is None and not self._is_closed:
            self._start()
        while True:
            if self._is_over:
                raise StopAsyncIteration
            if self._is_closed or self._pump is None:
                raise httpx2.ReadError("the response was closed before its end")
            # First what has arrived, then the end or the error that came after it.
            if self._waiting:
                if not self._turnstile.try_pass():
                    # What comes meanwhile is joined with what waits.
                    await self._or_close(self._turnstile.wait_and_pass())
                if merged := self._merger.feed(self._take()):
                    return merged
            elif not self._pump.done():
                await self._wait()
            elif held := self._merger.flush():
                return held
            elif self._pump.cancelled():
                # Not by us; the loop is about to stop. Whatever the reason, the body has not ended.
                self._is_closed = True
            else:
                self._is_over = True
                self._pump.result()

    async def aclose(self) -> None:
        """Close the connection, or give it back if the body was read to its end; drop what still waits."""
        self._is_closed = True
        self._waiting.clear()
        self._stop()
        # A caller that is cancelled while it cleans up must not leave the connection behind.
        with anyio.CancelScope(shield=True):
            if self._pump is not None and not self._pump.done():
                await asyncio.wait({self._pump})
            await self._close_inner()

    def _start(self) -> None:
        self._is_pumping = True
        self._pump = asyncio.get_running_loop().create_task(self._run_pump())
        self._pump.add_done_callback(self._pump_ended)

    def _stop(self) -> None:
        """Cancel the pump, but at most once, and not while it closes the connection by itself."""
        if self._pump is not None and self._is_pumping:
            self._is_pumping = False
            self._pump.cancel()
        self._arrived.set()

    def _pump_ended(self, pump: asyncio.Task[None]) -> None:
        self._arrived.set()
        if not pump.cancelled():
            # Asking marks it as seen: a reader that has left does not want to know.
            pump.exception()

    def _take(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        self._room.set()
        return data

    async def _wait(self) -> None:
        self._arrived.clear()
        await self._or_close(self._arrived.wait())

    async def _or_close(self, something: Awaitable[object]) -> None:
        try:
            await something
        except asyncio.CancelledError:
            # As an async generator would: the body ends here, though nobody may call `aclose`.
            self._is_closed = True
            self._stop()
            raise

    async def _run_pump(self) -> None:
        loop = asyncio.get_running_loop()
        # The loop gets to such a note only while the pump waits: what comes after that was not there before.
        loop.call_soon(self._note_pause)
        chunks = aiter(self._inner)
        try:
            async for chunk in chunks:
                self._waiting += chunk
                self._arrived.set()
                if self._has_paused:
                    for _ in range(_TURNS_OF_LEAD):
                        await asyncio.sleep(0)
                    self._has_paused = False
                    loop.call_soon(self._note_pause)
                while len(self._waiting) >= self._max_waiting:
                    self._room.clear()
                    await self._room.wait()
                if not self._turnstile.try_pass():
                    # The connection is read in fewer and larger pieces then, which is less work.
                    await self._turnstile.wait_and_pass()
        finally:
            self._is_pumping = False
            with anyio.CancelScope(shield=True):
                if isinstance(chunks, AsyncGenerator):
                    await chunks.aclose()
                await self._close_inner()

    def _note_pause(self) -> None:
        self._has_paused = True

    async def _close_inner(self) -> None:
        if not self._is_inner_closed:
            self._is_inner_closed = True
            await self._inner.aclose()


def streaming_client(
    *,
    timeout: float = 600.0,
    connect_timeout: float = 5.0,
    max_connections: int = 1000,
    max_idle_connections: int = 100,
    idle_seconds: float = 30.0,
    proxy: str | None = None,
    ssl_context: ssl.SSLContext | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> httpx2.AsyncClient:
    """Return an HTTP client for a model provider (`http_client=`): `MergingTransport` over `RetryingTransport`.

    Made for a server: one client for all runs, one connection for each stream under way, up to `max_connections`; a
    request beyond them waits `connect_timeout` seconds for one. Idle connections are kept for `idle_seconds`. `timeout`
    is the longest silence of the upstream server, in seconds. `transport` replaces the one to the network, and all that
    is said about connections with it. The environment's proxies are not looked up. Close the client when the server
    stops.
    """
    if transport is None:
        ssl_context = ssl_context or httpx2.create_ssl_context()
        if proxy is None:
            transport = PoolTransport(
                httpcore2.AsyncConnectionPool(
                    ssl_context=ssl_context,
                    max_connections=max_connections,
                    max_keepalive_connections=max_idle_connections,
                    keepalive_expiry=idle_seconds,
                    network_backend=JoiningBackend(),
                )
            )
        else:
            limits = httpx2.Limits(
                max_connections=max_connections,
                max_keepalive_connections=max_idle_connections,
                keepalive_expiry=idle_seconds,
            )
            transport = httpx2.AsyncHTTPTransport(verify=ssl_context, limits=limits, proxy=proxy)
    return httpx2.AsyncClient(
        transport=MergingTransport(RetryingTransport(transport)),
        timeout=httpx2.Timeout(timeout, connect=connect_timeout, pool=connect_timeout),
        follow_redirects=True,
        # A compressed stream could not be joined, and compressing single tokens gains nothing.
        headers={"Accept-Encoding": "identity"},
    )


def _is_plain_event_stream(response: httpx2.Response) -> bool:
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = response.headers.get("content-encoding", "").strip().lower()
    return response.is_success and content_type == "text/event-stream" and encoding in ("", "identity")
