"""How `pais run` ends: what is under way gets its time, what is new is sent away, and nobody is left without a word."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import anyio
import httpx2
import pytest

from tests.support.asgi import Answer, chat
from tests.support.clients import http_client
from tests.support.processes import Process, pais_run
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


def resting(tool: str, seconds: float) -> str:
    return json.dumps([{"tool_calls": [{"name": tool, "arguments": {"seconds": seconds}}]}, "finally"])


class Stream:
    """One chat stream, read in the background."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.ended = anyio.Event()
        self.answer = Answer()

    async def read(self, url: str) -> None:
        async with (
            http_client(timeout=60) as client,
            client.stream("POST", f"{url}{CHAT}", json=chat(stream=True)) as answer,
        ):
            try:
                async for data in answer.aiter_bytes():
                    self.answer.body += data
                    if b'"started"' in self.answer.body:
                        self.begun.set()
            finally:
                self.ended.set()


@asynccontextmanager
async def streaming(process: Process) -> AsyncIterator[Stream]:
    """Yield a stream whose tool has begun."""
    stream = Stream()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stream.read, process.url)
        with anyio.fail_after(20):
            await stream.begun.wait()
        yield stream
        with anyio.fail_after(30):
            await stream.ended.wait()


async def wait_until_not_ready(process: Process, client: httpx2.AsyncClient) -> None:
    async def is_draining() -> bool:
        return (await client.get(f"{process.url}/ready")).status_code == 503

    await until(is_draining)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stream_under_way_is_finished_while_new_runs_are_sent_away(folder: Path, number: int) -> None:
    with pais_run(env={"DEBUG_MOCK_RESPONSES": resting("rest", 2)}, cwd=folder) as process:
        async with http_client() as client, streaming(process) as stream:
            process.popen.send_signal(number)
            await wait_until_not_ready(process, client)
            refused = await client.post(f"{process.url}{CHAT}", json=chat())
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "server_shutdown"
            assert int(refused.headers["retry-after"]) >= 1
            assert (await client.get(f"{process.url}/health")).status_code == 200
        assert stream.answer.text() == "finally"
        assert stream.answer.frames()[-1] == "[DONE]"
        assert process.popen.wait(20) == 0
        assert "Traceback" not in process.output()


@pytest.mark.parametrize("tool", ["rest", "block"])
@pytest.mark.parametrize("on_disconnect", ["cancel", "continue"])
async def test_straggler_is_told_that_the_server_stops(folder: Path, tool: str, on_disconnect: str) -> None:
    environment = {
        "DEBUG_MOCK_RESPONSES": resting(tool, 15),
        "SHUTDOWN_GRACE_SECONDS": "0.3",
        "ON_DISCONNECT": on_disconnect,
    }
    with pais_run(env=environment, cwd=folder) as process:
        async with streaming(process) as stream:
            began = monotonic()
            process.popen.send_signal(signal.SIGTERM)
        error, done = stream.answer.frames()[-2:]
        assert json.loads(error)["error"]["code"] == "server_shutdown"
        assert done == "[DONE]"
        assert process.popen.wait(30) == 0
        assert monotonic() - began < 8
        assert "Traceback" not in process.output()


@pytest.mark.parametrize("on_disconnect", ["cancel", "continue"])
async def test_second_signal_cuts_short(folder: Path, on_disconnect: str) -> None:
    environment = {"DEBUG_MOCK_RESPONSES": resting("rest", 60), "ON_DISCONNECT": on_disconnect}
    with pais_run(env=environment, cwd=folder) as process:
        async with http_client() as client, streaming(process) as stream:
            process.popen.send_signal(signal.SIGINT)
            await wait_until_not_ready(process, client)
            began = monotonic()
            process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(30) == 0
        assert monotonic() - began < 8
        assert "server_shutdown" in stream.answer.frames()[-2]
        assert stream.answer.frames()[-1] == "[DONE]"
        assert "Traceback" not in process.output()


async def test_idle_connection_does_not_hold_the_server_up(folder: Path) -> None:
    with pais_run(env={"DEBUG_MOCK_RESPONSES": '["hello"]'}, cwd=folder) as process:
        async with http_client() as client:
            await client.post(f"{process.url}{CHAT}", json=chat())
            began = monotonic()
            assert process.stop() == 0
            assert monotonic() - began < 5
