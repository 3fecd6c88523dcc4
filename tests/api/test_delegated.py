"""The headers with which a run comes from another agent."""

import anyio
import pytest
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import RunContext

from pais_lite import AgentDeps
from tests.support.agents import CHAT, call
from tests.support.asgi import ask, chat
from tests.support.serving import mock_server

pytestmark = pytest.mark.anyio


def sleeper() -> PydanticAgent[AgentDeps, str]:
    agent = PydanticAgent(deps_type=AgentDeps)

    @agent.tool_plain
    async def sleep() -> str:
        await anyio.sleep(60)
        return "slept"

    @agent.tool
    async def look(ctx: RunContext[AgentDeps]) -> str:
        return ",".join(ctx.deps.delegation.chain)

    return agent


async def test_run_takes_no_longer_than_somebody_waits_for_it() -> None:
    server = mock_server(call(("sleep", {})), "Done.", agent=sleeper())
    answer = await ask(server, "POST", CHAT, chat(), {"x-request-timeout": "0.2"})
    assert (answer.status, answer.json()["error"]["code"]) == (504, "run_timeout")
    assert "while its caller waited" in answer.json()["error"]["message"]


@pytest.mark.parametrize("timeout", ["", "soon", "nan", "-1", "0", "inf", "1e99", "60"])
async def test_time_that_is_none_or_longer_than_allowed_changes_nothing(timeout: str) -> None:
    server = mock_server(call(("sleep", {})), "Done.", agent=sleeper(), run_timeout=0.2)
    answer = await ask(server, "POST", CHAT, chat(), {"x-request-timeout": timeout})
    assert (answer.status, answer.json()["error"]["message"]) == (
        504,
        "the run did not finish within 0.2 seconds",
    )


async def test_tools_see_where_a_run_comes_from() -> None:
    server = mock_server(call(("look", {})), "Done.", agent=sleeper())
    await ask(server, "POST", CHAT, chat(), {"x-delegation-chain": "a, b"})
    events = (await ask(server, "GET", "/memory/events")).json()["events"]
    (result,) = [event["content"]["result"] for event in events if event["event_type"] == "tool_result"]
    assert result == "a,b"
