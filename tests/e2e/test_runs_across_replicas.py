"""Real replicas on one real server: one run for one key, turns in order, and the word that a dead replica's run is lost."""

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.support.agents import CHAT, events
from tests.support.asgi import Answer, chat
from tests.support.clients import http_client
from tests.support.processes import Process, pais_run
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio

TIMEOUT = 90
# What the contract promises between the death of a replica and the word that its run is lost.
LOST_WITHIN = 15.0

# Says what it was asked, after as many seconds as the prompt begins with, and writes down when.
AGENT = """
import asyncio
import os
from pydantic_ai import Agent
from pydantic_ai.models.function import FunctionModel


def note(text):
    file = os.open("diary", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, (text + "\\n").encode())
    os.close(file)


async def speak(messages, info):
    prompt = messages[-1].parts[-1].content
    note("begins " + prompt)
    yield "I "
    await asyncio.sleep(float(prompt.split()[0]))
    yield prompt
    note("ends " + prompt)


agent = Agent(FunctionModel(stream_function=speak), name="shared")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    (folder / "server.py").write_text(AGENT)
    return folder


@pytest.fixture(scope="module")
def replicas(shared_valkey: ValkeyServer, folder: Path) -> Iterator[list[Process]]:
    with ExitStack() as stack:
        yield [stack.enter_context(replica(shared_valkey, folder)) for _ in range(2)]


def replica(valkey: ValkeyServer, folder: Path) -> Any:
    env = {"MEMORY_TYPE": "redis", "MEMORY_REDIS_URL": valkey.url, "LOG_LEVEL": "ERROR"}
    return pais_run(env={**env, "MEMORY_MAX_SESSION_EVENTS": "1000"}, cwd=folder)


def diary(folder: Path) -> list[str]:
    return (folder / "diary").read_text().splitlines()


async def post(
    client: httpx2.AsyncClient, url: str, text: str, headers: Mapping[str, str] | None = None, **fields: Any
) -> Answer:
    answer = await client.post(
        url + CHAT, json=chat(text, stream=True, **fields), headers=dict(headers or {})
    )
    return Answer(answer.status_code, dict(answer.headers), answer.content)


async def test_fifty_requests_with_one_key_at_two_replicas_are_one_run(
    replicas: list[Process], folder: Path
) -> None:
    answers: list[Answer] = []

    async def ask(client: httpx2.AsyncClient, number: int) -> None:
        url = replicas[number % 2].url
        answers.append(await post(client, url, "0.5 once", {"idempotency-key": "one"}))

    with anyio.fail_after(TIMEOUT):
        async with http_client() as client, anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(ask, client, number)
        async with http_client() as client:
            answers.append(await post(client, replicas[1].url, "0.5 once", {"idempotency-key": "one"}))
    assert [line for line in diary(folder) if "once" in line] == ["begins 0.5 once", "ends 0.5 once"]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.headers["x-run-id"] for answer in answers}) == 1
    # Keepalives and the cuts between writes are no part of what is said.
    assert len({tuple(answer.frames()) for answer in answers}) == 1
    assert answers[0].text() == "I 0.5 once"


async def test_turns_of_one_session_at_two_replicas_are_answered_one_after_another(
    replicas: list[Process], folder: Path
) -> None:
    done: list[str] = []

    async def ask(client: httpx2.AsyncClient, number: int) -> None:
        answer = await post(client, replicas[number % 2].url, f"0.2 turn {number}", session_id="s")
        assert answer.text() == f"I 0.2 turn {number}"
        done.append(f"turn {number}")

    with anyio.fail_after(TIMEOUT):
        async with http_client() as client:
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(ask, client, number)
                for number in range(6):
                    # Meanwhile, another session does not wait.
                    url = replicas[number % 2].url
                    answer = await post(client, url, f"0 other {number}", session_id="o")
                    assert answer.text() == f"I 0 other {number}"
                done.append("the others")
            stored = await events(client, replicas[0].url, "s")
    assert done.index("the others") < 10
    written = [line for line in diary(folder) if "turn" in line]
    turns = [line.removeprefix("begins ") for line in written[::2]]
    assert written == [f"{what} {turn}" for turn in turns for what in ("begins", "ends")]
    assert len(set(turns)) == 20
    assert stored == [
        entry for turn in turns for entry in [("user_message", turn), ("agent_response", f"I {turn}")]
    ]


async def test_runs_of_replicas_that_die_or_stall_are_lost_and_said_to_be(
    shared_valkey: ValkeyServer, folder: Path
) -> None:
    heard: dict[str, tuple[Answer, float]] = {}
    began: dict[str, anyio.Event] = {name: anyio.Event() for name in ("killed", "stalled")}

    async def ask(
        client: httpx2.AsyncClient, url: str, text: str, session: str, who: str, key: str = ""
    ) -> None:
        """Ask for a stream; a replica that is killed cuts it."""
        body = chat(text, stream=True, session_id=session)
        content = b""
        try:
            headers = {"idempotency-key": key or session}
            async with client.stream("POST", url + CHAT, json=body, headers=headers) as answer:
                async for piece in answer.aiter_bytes():
                    content += piece
                    if who in began:
                        began[who].set()
        except httpx2.TransportError:
            assert who == "killed"
        heard[who] = (Answer(200, {}, content), monotonic())

    with anyio.fail_after(TIMEOUT), ExitStack() as stack:
        killed, stalled = (stack.enter_context(replica(shared_valkey, folder)) for _ in range(2))
        async with http_client() as client, anyio.create_task_group() as tasks:
            tasks.start_soon(ask, client, killed.url, "60 a", "a", "killed")
            tasks.start_soon(ask, client, stalled.url, "4 b", "b", "stalled")
            for event in began.values():
                await event.wait()
            # Longer than the time after which a run is more than one request.
            await anyio.sleep(1)
            killed.popen.send_signal(signal.SIGKILL)
            stalled.popen.send_signal(signal.SIGSTOP)
            dead_at = monotonic()
            try:
                third = await anyio.to_thread.run_sync(stack.enter_context, replica(shared_valkey, folder))
                async with anyio.create_task_group() as listeners:
                    for session, text in (("a", "60 a"), ("b", "4 b")):
                        listeners.start_soon(ask, client, third.url, text, session, f"heir of {session}")
                    # The next turn of the session need not wait for who will never end.
                    listeners.start_soon(ask, client, third.url, "0 next", "a", "next", "k")
            finally:
                stalled.popen.send_signal(signal.SIGCONT)
        for session in ("a", "b"):
            answer, at = heard[f"heir of {session}"]
            assert json.loads(answer.frames()[-2])["error"]["code"] == "run_lost"
            assert at - dead_at < LOST_WITHIN
        # The one that came back says the same, and wrote nothing over it.
        assert json.loads(heard["stalled"][0].frames()[-2])["error"]["code"] == "run_lost"
        async with http_client() as client:
            assert await events(client, third.url, "b") == [("user_message", "4 b")]
            assert ("agent_response", "I 0 next") in await events(client, third.url, "a")
