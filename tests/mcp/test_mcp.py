"""Tools of a real MCP server, which comes, goes and changes while an agent uses it."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.mcp import MCPToolset

from pais_lite import Agent, AgentServer
from pais_lite.agent import RunRequest
from pais_lite.errors import ConfigurationError
from pais_lite.events import Finished
from tests.support.agents import call
from tests.support.asgi import ask, chat
from tests.support.ports import free_port
from tests.support.processes import Process, running
from tests.support.serving import mock_server
from tests.support.sockets import until

pytestmark = pytest.mark.anyio


@contextmanager
def mcp_server(port: int, *tools: str) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.mcp.server", str(port), *tools]
    with running(command, ready=r"running on (http://\S+)", cwd=Path(__file__).parents[2]) as process:
        yield process


def served(port: int, *says: Any, **settings: Any) -> AgentServer:
    return mock_server(
        *says, environ={"MCP_SERVERS": "sums", "MCP_SERVER_SUMS_URL": f"http://127.0.0.1:{port}"}, **settings
    )


async def names(server: AgentServer) -> list[str]:
    answer = await ask(server, "GET", "/tools")
    return [tool["function"]["name"] for tool in answer.json()["tools"]]


async def results(agent: Agent) -> list[Any]:
    """Run, and return what the tools of that run said, in the order in which they did."""
    await agent.memory.delete_session("s")
    with anyio.fail_after(30):
        events = [event async for event in agent.run_events(RunRequest(prompt="x", session_id="s"))]
    assert isinstance(events[-1], Finished), events[-1]
    return [
        event.content["result"] for event in await agent.memory.get_events("s", event_types=["tool_result"])
    ]


async def test_tools_are_listed_and_called_and_called_again_after_a_restart() -> None:
    port = free_port()
    server = served(port, call(("add", {"a": 2, "b": 3}), ("pid", {})), "Done.")
    with mcp_server(port) as first:
        assert await names(server) == ["add", "pid", "fail"]
        assert sorted(await results(server.agent)) == [5, first.popen.pid]
    with mcp_server(port) as second:
        assert sorted(await results(server.agent)) == [5, second.popen.pid]
        skills = (await ask(server, "GET", "/.well-known/agent-card.json")).json()["skills"]
        assert [skill["id"] for skill in skills] == ["add", "pid", "fail"]
        await server.agent.close()


async def test_session_of_the_older_protocol_that_a_restart_forgot_is_opened_again() -> None:
    port = free_port()
    client = Client(f"http://127.0.0.1:{port}/mcp", mode="legacy")
    server = mock_server(
        call(("add", {"a": 2, "b": 3})), "Done.", "Then not.", mcp_servers=[MCPToolset(client)]
    )
    with mcp_server(port):
        assert await results(server.agent) == [5]
    with mcp_server(port):

        async def works_again() -> bool:
            return "add" in await names(server) and await results(server.agent) == [5]

        await until(works_again, timeout=40)
        await server.agent.close()


async def test_server_that_is_down_is_left_out_and_is_back_without_a_restart_of_ours() -> None:
    port = free_port()
    server = served(port, "Hello.")
    assert await names(server) == []
    assert await results(server.agent) == []
    with mcp_server(port):

        async def is_back() -> bool:
            return await names(server) == ["add", "pid", "fail"]

        await until(is_back, timeout=40)
    await server.agent.close()


async def test_call_that_finds_its_server_gone_is_told_to_the_model_and_the_next_run_finds_it_again() -> None:
    port = free_port()
    server = served(port, call(("add", {"a": 2, "b": 3})), "Done.")
    with mcp_server(port) as process:
        assert await results(server.agent) == [5]
        process.stop(signal.SIGKILL)
        (told,) = await results(server.agent)
        assert "server of this tool" in str(told)
    with mcp_server(port):

        async def works_again() -> bool:
            return "add" in await names(server) and await results(server.agent) == [5]

        await until(works_again, timeout=40)
        await server.agent.close()


async def test_tool_that_fails_is_told_to_the_model() -> None:
    port = free_port()
    server = served(port, call(("fail", {})), "Then not.")
    with mcp_server(port):
        (told,) = await results(server.agent)
        await server.agent.close()
    assert "never works" in str(told)


async def test_tool_whose_name_is_taken_is_left_out() -> None:
    port = free_port()
    own = PydanticAgent()

    @own.tool_plain
    def add(a: int, b: int) -> int:
        return a * b

    server = served(port, call(("add", {"a": 2, "b": 3})), "Done.", agent=own)
    with mcp_server(port):
        assert await names(server) == ["add", "pid", "fail"]
        assert await results(server.agent) == [6]
        await server.agent.close()


async def test_many_runs_share_one_connection() -> None:
    port = free_port()
    server = served(port, call(("add", {"a": 2, "b": 3})), "Done.")
    with mcp_server(port):

        async def run(number: int) -> None:
            request = RunRequest(prompt="x", session_id=f"s{number}")
            events = [event async for event in server.agent.run_events(request)]
            assert isinstance(events[-1], Finished)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(run, number)
        await server.agent.close()


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_ai.mcp", None)
    with pytest.raises(ConfigurationError, match=r"pais-lite\[mcp\]"):
        served(1, "x")


async def test_the_trace_of_a_caller_reaches_the_server() -> None:
    port = free_port()
    with mcp_server(port, "trace_id"):
        server = served(port, call(("trace_id", {})), "Done.")
        with anyio.fail_after(30):
            assert await names(server) == ["trace_id"]
            traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            await ask(
                server, "POST", "/v1/chat/completions", chat(session_id="s"), {"traceparent": traceparent}
            )
        [result] = await server.agent.memory.get_events("s", event_types=["tool_result"])
        assert result.content["result"] == "0af7651916cd43dd8448eb211c80319c"
        await server.agent.close()
