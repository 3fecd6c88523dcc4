"""Tries again when a model endpoint fails before it has said anything.

The OpenAI client retries too, but waits for as long as `Retry-After` says, up to two minutes, and gives up on a stream
that is cut after its headers. So it is told not to, and this transport does it: at most two more attempts, only until
the first piece of the answer, and never for longer than a caller would wait.
"""

import logging
import random
from collections.abc import AsyncIterator
from typing import Final

import anyio
import httpx2

__all__ = ["RetryingTransport"]

_log = logging.getLogger("pais_lite.models")

_MAX_RETRIES: Final = 2
_FIRST_PAUSE: Final = 0.25
# Whoever asks for more patience than this is not going to be back within one request.
_MAX_RETRY_AFTER: Final = 5.0
_RETRIED_STATUSES: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
# The request did not arrive, or its answer was cut off. A timeout of the answer is not here: its wait was the last.
_RETRIED_ERRORS: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.ReadError,
    httpx2.WriteError,
    httpx2.RemoteProtocolError,
)


class RetryingTransport(httpx2.AsyncBaseTransport):
    """Wraps a transport; the response it returns has a body that has already begun, where it is a stream."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner
        self._random = random.SystemRandom()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request, again where that may help; raises what the wrapped transport raised last."""
        retries = 0
        while True:
            try:
                response = await self._inner.handle_async_request(request)
                response = await _begin(response)
            except _RETRIED_ERRORS as exc:
                if retries == _MAX_RETRIES:
                    raise
                reason, pause = type(exc).__name__, None
            else:
                pause = _retry_after(response)
                refused = response.status_code in _RETRIED_STATUSES and (
                    pause is None or pause <= _MAX_RETRY_AFTER
                )
                if (
                    retries == _MAX_RETRIES
                    or not refused
                    or response.headers.get("x-should-retry") == "false"
                ):
                    return response
                reason = f"status {response.status_code}"
                await response.aclose()
            retries += 1
            _log.info("the model endpoint failed (%s); trying again, %d of %d", reason, retries, _MAX_RETRIES)
            await anyio.sleep(self._pause(retries) if pause is None else pause)

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()

    def _pause(self, retry: int) -> float:
        """Return twice the last pause, give or take: those who were refused together shall not return together."""
        longest = _FIRST_PAUSE * 2 ** (retry - 1)
        return self._random.uniform(longest / 2, longest)


class _BegunStream(httpx2.AsyncByteStream):
    """A body of which the first piece has been read."""

    def __init__(self, first: bytes, rest: AsyncIterator[bytes], stream: httpx2.AsyncByteStream) -> None:
        self._first = first
        self._rest = rest
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        async for piece in self._rest:
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _begin(response: httpx2.Response) -> httpx2.Response:
    """Wait for the first piece of a stream, so that one that is cut before it can still be asked for again."""
    stream = response.stream
    content_type = response.headers.get("content-type", "")
    if not content_type.startswith("text/event-stream") or not isinstance(stream, httpx2.AsyncByteStream):
        return response
    pieces = aiter(stream)
    try:
        first = await anext(pieces, b"")
    except BaseException:
        with anyio.CancelScope(shield=True):
            await stream.aclose()
        raise
    return httpx2.Response(
        response.status_code,
        headers=response.headers,
        stream=_BegunStream(first, pieces, stream),
        extensions=response.extensions,
    )


def _retry_after(response: httpx2.Response) -> float | None:
    """Return the seconds that the endpoint asked us to wait; `None` where it did not, or gave a date."""
    text = response.headers.get("retry-after", "")
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if seconds >= 0 else None
