"""Retries of the model endpoint: at most two, and only before it has said anything."""

import anyio
import httpx2
import pytest

from pais_lite.models.retrying import RetryingTransport
from tests.support.endpoint import ModelCall, chunk, model_endpoint

pytestmark = pytest.mark.anyio


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=RetryingTransport(httpx2.AsyncHTTPTransport()))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_endpoint_that_recovers_is_asked_again(status: int) -> None:
    async def script(call: ModelCall) -> None:
        if len(endpoint.calls) < 3:
            await call.respond(status, {"error": {}})
        else:
            await call.respond(200, {"ok": True})

    async with model_endpoint(script) as endpoint, client() as http:
        with anyio.fail_after(10):
            answer = await http.post(endpoint.url, json={"n": 1})
        assert answer.json() == {"ok": True}
        assert [call.body for call in endpoint.calls] == [{"n": 1}] * 3


async def test_after_two_retries_the_failure_stands() -> None:
    async def script(call: ModelCall) -> None:
        await call.respond(503, {"error": {"message": "busy"}})

    async with model_endpoint(script) as endpoint, client() as http:
        with anyio.fail_after(10):
            assert (await http.post(endpoint.url, json={})).status_code == 503
        assert len(endpoint.calls) == 3


@pytest.mark.parametrize(
    ("status", "headers"),
    [(400, ""), (401, ""), (404, ""), (429, "retry-after: 60\r\n"), (503, "x-should-retry: false\r\n")],
)
async def test_what_a_retry_cannot_help_is_not_retried(status: int, headers: str) -> None:
    async def script(call: ModelCall) -> None:
        await call.respond(status, {"error": {}}, headers)

    async with model_endpoint(script) as endpoint, client() as http:
        with anyio.fail_after(10):
            assert (await http.post(endpoint.url, json={})).status_code == status
        assert len(endpoint.calls) == 1


async def test_the_wait_that_the_endpoint_asks_for_is_kept() -> None:
    async def script(call: ModelCall) -> None:
        await call.respond(429 if len(endpoint.calls) == 1 else 200, {}, "retry-after: 0.6\r\n")

    async with model_endpoint(script) as endpoint, client() as http:
        began = anyio.current_time()
        with anyio.fail_after(10):
            assert (await http.post(endpoint.url, json={})).status_code == 200
        assert anyio.current_time() - began >= 0.6


async def test_a_stream_cut_before_its_first_piece_is_asked_for_again() -> None:
    async def script(call: ModelCall) -> None:
        await call.start_stream()
        if len(endpoint.calls) == 1:
            call.writer.close()
            return
        await call.text("hello")
        await call.end_stream()

    async with model_endpoint(script) as endpoint, client() as http:
        with anyio.fail_after(10):
            answer = await http.post(endpoint.url, json={})
        assert '"hello"' in answer.text
        assert len(endpoint.calls) == 2


async def test_a_stream_cut_after_its_first_piece_is_not_told_twice() -> None:
    async def script(call: ModelCall) -> None:
        await call.start_stream()
        await call.event(chunk({"content": "hel"}))
        call.writer.close()

    async with model_endpoint(script) as endpoint, client() as http:
        with anyio.fail_after(10), pytest.raises(httpx2.RemoteProtocolError):
            await http.post(endpoint.url, json={})
        assert len(endpoint.calls) == 1


async def test_an_endpoint_that_is_not_there_is_looked_for_three_times() -> None:
    class Absent(httpx2.AsyncBaseTransport):
        asked = 0

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            self.asked += 1
            raise httpx2.ConnectError("refused")

    absent = Absent()
    async with httpx2.AsyncClient(transport=RetryingTransport(absent)) as http:
        with anyio.fail_after(10), pytest.raises(httpx2.ConnectError):
            await http.post("http://model.invalid", json={})
    assert absent.asked == 3


async def test_leaving_while_waiting_for_the_first_piece_closes_the_connection() -> None:
    closed = anyio.Event()
    begun = anyio.Event()

    async def script(call: ModelCall) -> None:
        await call.start_stream()
        begun.set()
        await call.closed()
        closed.set()

    async with model_endpoint(script) as endpoint, client() as http:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: http.post(endpoint.url, json={}))
                await begun.wait()
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            await closed.wait()
