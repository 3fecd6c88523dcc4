"""After a thousand streams that nobody read to the end: no task, no connection and no memory left behind."""

import asyncio
import gc
import os
from pathlib import Path

import anyio
import pytest
from pydantic_ai import Agent

from pais_lite import AgentServer, serve
from tests.support.asgi import ask, chat, exchange, make_scope
from tests.support.clients import http_client
from tests.support.endpoint import ModelCall, model_endpoint
from tests.support.processes import pais_run
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


async def talk_on(call: ModelCall) -> None:
    """Say something, and then something else, for as long as somebody is there."""
    await call.start_stream()
    while not call.reader.at_eof():
        await call.text("tick ")
        await anyio.sleep(0.05)


async def abandon(server: AgentServer, times: int) -> None:
    async def one() -> None:
        async with exchange(server, make_scope("POST", CHAT)) as talk:
            talk.send_body(b'{"messages": [{"role": "user", "content": "hi"}], "stream": true}')
            await talk.until("tick")
            talk.disconnect()
            with anyio.fail_after(20):
                await talk.ended.wait()

    for _ in range(times // 20):
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(one)


async def settled_objects() -> int:
    """Count what is alive once the garbage is gone; generators that it ends need the loop for their last steps."""
    for _ in range(5):
        gc.collect()
        await anyio.sleep(0.01)
    return len(gc.get_objects())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_thousand_abandoned_streams_leave_nothing_behind() -> None:
    async with model_endpoint(talk_on) as endpoint:
        server = serve(
            Agent(name="left"),
            model_api_url=endpoint.url,
            model_name="m",
            max_concurrent_runs=20,
            memory_max_sessions=20,
        )
        # What is made once, such as caches and compiled validators, is made before we count.
        await abandon(server, 100)
        endpoint.calls.clear()
        await until(lambda: not endpoint.open_connections)
        objects, memory = await settled_objects(), resident_bytes()
        tasks = len(asyncio.all_tasks())

        await abandon(server, 1000)

        await until(lambda: not endpoint.open_connections)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert len(endpoint.calls) == 1000
        endpoint.calls.clear()
        # A run holds hundreds of objects and tens of kilobytes while it lives, and ten when it is remembered.
        assert await settled_objects() - objects < 20_000
        assert resident_bytes() - memory < 30_000_000
        # All twenty places are free again, and nothing is left to wait for.
        with anyio.fail_after(2):
            await server.drain()
        sessions = (await ask(server, "GET", "/memory/sessions")).json()["sessions"]
        assert [session["event_count"] for session in sessions] == [2] * 20
        await server.agent.close()


async def test_hundred_abandoned_connections_leave_nothing_behind() -> None:
    async with model_endpoint(talk_on) as endpoint:
        environment = {"MODEL_API_URL": endpoint.url, "MODEL_NAME": "m", "MAX_CONCURRENT_RUNS": "10"}
        with pais_run(env=environment) as process:

            async def one() -> None:
                async with (
                    http_client(timeout=30) as client,
                    client.stream("POST", f"{process.url}{CHAT}", json=chat(stream=True)) as answer,
                ):
                    assert answer.status_code == 200
                    await anext(answer.aiter_bytes())

            for _ in range(10):
                async with anyio.create_task_group() as tasks:
                    for _ in range(10):
                        tasks.start_soon(one)
                await until(lambda: not endpoint.open_connections)
            assert len(endpoint.calls) == 100
            assert process.stop() == 0
            assert "Traceback" not in process.output()
