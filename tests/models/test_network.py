"""Over real sockets: the same answers and errors as the plain client, and no connection outlives its reader."""

import asyncio
import gc
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
import trustme
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import ModelRequest, ModelResponse
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from pais_lite.models.streaming import streaming_client

pytestmark = pytest.mark.anyio


def event(delta: dict[str, Any], *, finish_reason: str | None = None, **fields: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    document = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps({**document, **fields}).encode() + b"\n\n"


def text_event(text: str) -> bytes:
    return event({"content": text})


DONE = b"data: [DONE]\n\n"
FINISH = event({}, finish_reason="stop")
USAGE = event({}, choices=[], usage={"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8})


async def answer(client: httpx2.AsyncClient, url: str) -> Any:
    """Return the model's response, or the error that a run meets, as a comparable value."""
    base_url = url.removesuffix("/chat/completions")
    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=base_url, api_key="k", http_client=client))
    with anyio.fail_after(10):
        try:
            async with model_request_stream(model, [ModelRequest.user_text_prompt("hi")]) as stream:
                async for _ in stream:
                    pass
                return stream.get()
        except ModelAPIError as exc:
            return type(exc), str(exc), type(exc.__cause__), str(exc.__cause__)


class Upstream:
    """A chat-completion endpoint on a loopback socket that writes what its script says and sees clients leave."""

    def __init__(self, script: Callable[["Upstream", asyncio.StreamWriter], Any]) -> None:
        self.script = script
        self.url = ""
        self.readers: list[asyncio.StreamReader] = []
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.readers.append(reader)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line[15:])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                )
                await reader.readexactly(length)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                await self.script(self, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def upstream(
    script: Callable[[Upstream, asyncio.StreamWriter], Any], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Upstream]:
    served = Upstream(script)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    served.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions"
    try:
        yield served
    finally:
        server.close()


async def five_hundred(served: Upstream, writer: asyncio.StreamWriter) -> None:
    for number in range(500):
        writer.write(http_chunk(text_event(f" {number}")))
        if number % 50 == 0:
            await writer.drain()
    writer.write(http_chunk(FINISH) + http_chunk(USAGE) + http_chunk(DONE) + b"0\r\n\r\n")
    await writer.drain()


async def test_five_hundred_tokens_over_a_socket() -> None:
    async with upstream(five_hundred) as served, streaming_client() as client:
        for _ in range(3):
            response = await answer(client, served.url)
            assert response.text == "".join(f" {number}" for number in range(500))
            assert response.usage.output_tokens == 5
            assert response.finish_reason == "stop"
        assert len(served.readers) == 1


@pytest.mark.parametrize(
    "before", [b"", http_chunk(text_event("a")), http_chunk(text_event("a")) + b"40\r\ndata"]
)
async def test_cut_connection_raises_the_same(before: bytes) -> None:
    async def cut_off(served: Upstream, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        await writer.drain()
        writer.transport.abort() if not before else writer.close()
        raise ConnectionError

    async with upstream(cut_off) as served:
        async with httpx2.AsyncClient() as client:
            plain = await answer(client, served.url)
        async with streaming_client() as client:
            ours = await answer(client, served.url)
    assert not isinstance(plain, ModelResponse)
    assert ours == plain


async def test_tokens_in_records_of_their_own_are_joined_over_tls() -> None:
    authority = trustme.CA()
    there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(there)
    here = ssl.create_default_context()
    authority.configure_trust(here)
    async with upstream(five_hundred, there) as served, streaming_client(ssl_context=here) as client:
        reads = 0
        with anyio.fail_after(10):
            async with client.stream("POST", served.url, content=b"{}") as response:
                async for _ in response.aiter_raw():
                    reads += 1
        assert reads < 100
        assert (await answer(client, served.url)).text == "".join(f" {number}" for number in range(500))


async def endless(served: Upstream, writer: asyncio.StreamWriter) -> None:
    """One token, then silence until the client leaves."""
    writer.write(http_chunk(text_event("a")))
    if not await served.readers[-1].read(1):
        raise ConnectionError


async def flood(served: Upstream, writer: asyncio.StreamWriter) -> None:
    while not writer.transport.is_closing():
        writer.write(http_chunk(text_event("a" * 1000)) * 100)
        await writer.drain()
    raise ConnectionError


async def leave_by_closing(stream: AsyncIterator[bytes], response: httpx2.Response) -> None:
    await anext(stream)
    await response.aclose()


async def leave_by_task_cancel(stream: AsyncIterator[bytes], response: httpx2.Response) -> None:
    async def read_all() -> None:
        try:
            async for _ in stream:
                await asyncio.sleep(0.01)
        finally:
            await response.aclose()

    task = asyncio.create_task(read_all())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def leave_by_cancel_scope(stream: AsyncIterator[bytes], response: httpx2.Response) -> None:
    with anyio.move_on_after(0.05):
        try:
            async for _ in stream:
                await anyio.sleep(0.01)
        finally:
            await response.aclose()


async def leave_by_cancelled_read(stream: AsyncIterator[bytes], response: httpx2.Response) -> None:
    with anyio.move_on_after(0.05):
        async for _ in stream:
            await anyio.lowlevel.checkpoint()


async def leave_from_another_task(stream: AsyncIterator[bytes], response: httpx2.Response) -> None:
    async def read_all() -> None:
        async for _ in stream:
            await asyncio.sleep(0.01)

    task = asyncio.create_task(read_all())
    await asyncio.sleep(0.05)
    await response.aclose()
    with pytest.raises(httpx2.ReadError):
        await task


async def leave_right_after_the_start(stream: AsyncIterator[bytes], response: httpx2.Response) -> None:
    task = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await response.aclose()


async def leave_unread(stream: AsyncIterator[bytes], response: httpx2.Response) -> None:
    await response.aclose()


@pytest.mark.parametrize("script", [endless, flood])
@pytest.mark.parametrize(
    "leave",
    [
        leave_by_closing,
        leave_by_task_cancel,
        leave_by_cancel_scope,
        leave_by_cancelled_read,
        leave_from_another_task,
        leave_right_after_the_start,
        leave_unread,
    ],
)
async def test_leaving_closes_the_connection(script: Any, leave: Any) -> None:
    async def seconds_until_closed() -> float:
        async with upstream(script) as served, streaming_client() as client:
            with anyio.fail_after(5):
                request = client.build_request("POST", served.url, content=b"{}")
                response = await client.send(request, stream=True)
                await leave(response.aiter_raw(), response)
                left_at = time.monotonic()
                await served.left.wait()
        return time.monotonic() - left_at

    # Other processes may stop this one for as long; one calm moment in five is enough.
    attempts = 1
    while await seconds_until_closed() >= 0.1:
        assert attempts < 5
        attempts += 1
    assert [task for task in asyncio.all_tasks() if "pump" in repr(task)] == []


async def test_reader_that_just_goes_away_closes_the_connection() -> None:
    async with upstream(flood) as served, streaming_client() as client:
        with anyio.fail_after(5):

            async def read_one() -> None:
                request = client.build_request("POST", served.url, content=b"{}")
                response = await client.send(request, stream=True)
                async for _ in response.aiter_bytes():
                    break

            await read_one()
            gc.collect()
            await served.left.wait()


async def test_cancelled_run_closes_the_connection() -> None:
    async with upstream(endless) as served, streaming_client() as client:
        with anyio.fail_after(5):
            run = asyncio.create_task(answer(client, served.url))
            await asyncio.sleep(0.2)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
            await served.left.wait()


async def test_errors_of_the_network_are_those_of_the_plain_client() -> None:
    async def silent(served: Upstream, writer: asyncio.StreamWriter) -> None:
        await served.readers[-1].read(1)

    async with upstream(silent) as served:
        for make in (httpx2.AsyncClient, streaming_client):
            async with make(timeout=0.1) as client:
                with pytest.raises(httpx2.ReadTimeout):
                    await client.post(served.url, content=b"{}")
    for make in (httpx2.AsyncClient, streaming_client):
        async with make() as client:
            with pytest.raises(httpx2.ConnectError):
                await client.post("http://127.0.0.1:1/")
            with pytest.raises(httpx2.UnsupportedProtocol):
                await client.post("ftp://127.0.0.1/")


async def test_other_bodies_come_whole() -> None:
    async def plain(served: Upstream, writer: asyncio.StreamWriter) -> None:
        writer.write(http_chunk(b"a") + http_chunk(b": b\n\n") + b"0\r\n\r\n")

    async with upstream(plain) as served, streaming_client() as client:
        for _ in range(3):
            assert (await client.post(served.url, content=b"{}")).content == b"a: b\n\n"
        assert len(served.readers) == 1
