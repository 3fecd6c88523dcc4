"""A run that waits for its client outlives the process that it began in: with Redis, another goes on with it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.agents import call
from tests.support.processes import Process, pais_run
from tests.support.valkey import ValkeyServer

TIMEOUT = 60.0
AGENT = """
from pathlib import Path

from pydantic_ai import Agent

agent = Agent(name="clerk", system_prompt="A prompt of the system.")


@agent.tool_plain(requires_approval=True)
def burn(number: int) -> str:
    with Path("burnt").open("a") as file:
        file.write(f"{number}\\n")
    return f"{number} is ashes"


@agent.tool_plain
def look_up(number: int) -> str:
    with Path("looked-up").open("a") as file:
        file.write(f"{number}\\n")
    return f"{number} is here"
"""
SAYS = [call(("look_up", {"number": 7}), ("burn", {"number": 7}), ("clock", {})), "Done."]
CLOCK = {"type": "function", "function": {"name": "clock"}}


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    server = ValkeyServer(tmp_path, "--save", "")
    server.start()
    yield server
    server.kill()


def post(server: Process, messages: list[Any], key: str = "a", **headers: str) -> httpx2.Response:
    return httpx2.post(
        f"{server.url}/v1/chat/completions",
        json={"messages": messages, "tools": [CLOCK]},
        headers={"authorization": f"Bearer {key}", **headers},
        timeout=TIMEOUT,
    )


def result(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_answers_reach_a_run_whose_process_was_killed(valkey: ValkeyServer, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(AGENT)
    env = {
        "MEMORY_TYPE": "redis",
        "MEMORY_REDIS_URL": valkey.url,
        "DEBUG_MOCK_RESPONSES": json.dumps(SAYS),
        "AGENT_API_KEYS": "alice:a,bob:b",
    }
    question = {"role": "user", "content": "Burn 7."}
    waiting: dict[str, list[Any]] = {}
    with pais_run(env=env, cwd=tmp_path) as before:
        for session in ("named", "kept-by-the-client"):
            headers = {"x-session-id": "s"} if session == "named" else {}
            message = post(before, [question], **headers).json()["choices"][0]["message"]
            waiting[session] = [message, *(call["id"] for call in message["tool_calls"])]
        before.popen.kill()

    yes = json.dumps({"approved": True})
    with pais_run(env=env, cwd=tmp_path) as after:
        _, clock, burn = waiting["named"]
        answers = [result(clock, "12:00"), result(burn, yes)]
        assert post(after, answers, key="b", **{"x-session-id": "s"}).status_code == 400
        assert not (tmp_path / "burnt").exists()
        done = post(after, answers, **{"x-session-id": "s"})
        assert done.json()["choices"][0]["message"]["content"] == "Done."
        again = post(after, answers, **{"x-session-id": "s"})
        assert (again.status_code, again.json()["error"]["code"]) == (409, "already_answered")

        message, clock, burn = waiting["kept-by-the-client"]
        turn = [question, message, result(clock, "12:00"), result(burn, '{"approved": false}')]
        assert post(after, turn).json()["choices"][0]["message"]["content"] == "Done."

    # What was approved ran once, what was denied did not, and what had run before the restart was not run again.
    assert (tmp_path / "burnt").read_text().split() == ["7"]
    assert (tmp_path / "looked-up").read_text().split() == ["7", "7"]
