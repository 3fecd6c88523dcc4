"""Two replicas and many clients write to a few sessions while the memory server is killed and started again."""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2
import pytest

from tests.support.processes import Process, pais_run
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio

CLIENTS = 32
TURNS = 2000
SESSIONS = 10
KILLS_AFTER = (500, 1200)
TIMEOUT = 240

ECHO_AGENT = """
from pydantic_ai import Agent
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel


async def echo(messages, info):
    return ModelResponse(parts=[TextPart("echo " + messages[-1].parts[-1].content)])


agent = Agent(FunctionModel(echo), name="echo")
"""


@pytest.fixture
def replicas(tmp_path: Path, own_valkey: ValkeyServer) -> Iterator[list[Process]]:
    (tmp_path / "server.py").write_text(ECHO_AGENT)
    env = {
        "MEMORY_TYPE": "redis",
        "MEMORY_REDIS_URL": own_valkey.url,
        "MEMORY_MAX_SESSION_EVENTS": "10000",
        "LOG_LEVEL": "ERROR",
    }
    with pais_run(env=env, cwd=tmp_path) as one, pais_run(env=env, cwd=tmp_path) as two:
        yield [one, two]


async def test_every_acknowledged_turn_is_there_exactly_once_and_in_order(
    own_valkey: ValkeyServer, replicas: list[Process]
) -> None:
    numbers = itertools.count()
    acknowledged: dict[str, list[list[str]]] = {f"s{n}": [] for n in range(SESSIONS)}
    refused: set[int] = set()
    done = 0
    kills = list(KILLS_AFTER)
    killing = anyio.Lock()

    async def restart() -> None:
        async with killing:
            await anyio.to_thread.run_sync(own_valkey.kill)
            await anyio.to_thread.run_sync(own_valkey.start)

    async def write(client: httpx2.AsyncClient, seed: int, tasks: anyio.abc.TaskGroup) -> None:
        nonlocal done
        choose = random.Random(seed)
        mine: dict[str, list[str]] = {name: [] for name in acknowledged}
        while done < TURNS:
            session, text = choose.choice(list(acknowledged)), f"turn-{next(numbers)}"
            answer = await client.post(
                f"{choose.choice(replicas).url}/v1/chat/completions",
                json={"messages": [{"role": "user", "content": text}], "session_id": session},
            )
            if answer.status_code == 200:
                assert answer.json()["choices"][0]["message"]["content"] == f"echo {text}"
                mine[session].append(text)
                done += 1
                if kills and done >= kills[0]:
                    kills.pop(0)
                    tasks.start_soon(restart)
            else:
                refused.add(answer.status_code)
        for name, texts in mine.items():
            acknowledged[name].append(texts)

    with anyio.fail_after(TIMEOUT):
        async with httpx2.AsyncClient(timeout=60) as client, anyio.create_task_group() as tasks:
            for seed in range(CLIENTS):
                tasks.start_soon(write, client, seed, tasks)
        async with httpx2.AsyncClient(timeout=60) as client:
            for session, by_client in acknowledged.items():
                url = f"{replicas[0].url}/memory/events?limit=1000&session_id={session}"
                events = (await client.get(url)).json()["events"]
                asked = [event["content"] for event in events if event["event_type"] == "user_message"]
                answered = [event["content"] for event in events if event["event_type"] == "agent_response"]
                for texts in by_client:
                    # Each client's own turns, one acknowledged before the next was sent.
                    assert [text for text in asked if text in set(texts)] == texts
                    assert [text for text in answered if text.removeprefix("echo ") in set(texts)] == [
                        f"echo {text}" for text in texts
                    ]
    assert refused <= {503}
    assert not kills
