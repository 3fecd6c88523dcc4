"""Agents of one process that hand tasks to each other: what the one sees, and what the other one does."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import anyio
import httpx2
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import AgentServer, RemoteAgent, SessionMemory, serve
from pais_lite.agent import RunRequest
from pais_lite.delegation import HttpClient
from pais_lite.events import Finished, Progress
from pais_lite.memory import MemoryEvent
from pais_lite.telemetry import Telemetry
from tests.support.agents import call, delegate, progress
from tests.support.asgi import Answer, ask, chat, exchange, make_scope
from tests.support.serving import mock_agents
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


async def ask_for(server: AgentServer, model: str, text: str = "hi", **fields: Any) -> Answer:
    body = {**chat(text, **fields), "model": model}
    return await ask(server, "POST", CHAT, body, {"x-session-id": "s"})


async def remembered(server: AgentServer, agent: str) -> list[MemoryEvent]:
    return list(await server.agents[agent].memory.recent_events(100))


async def told(server: AgentServer, agent: str = "boss") -> list[str]:
    """Return what the agent's model was told that its delegations brought."""
    events = await remembered(server, agent)
    return [str(event.content["result"]) for event in events if event.event_type == "delegation_response"]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_other_one_works_on_it_and_both_remember(stream: bool) -> None:
    server = mock_agents(
        {"boss": [delegate("clerk", "file this"), "Done."], "clerk": ["It is filed."]},
        sub_agents={"boss": ["clerk"]},
    )
    async with server.lifespan():
        answer = await ask_for(server, "boss", "Please!", stream=stream)
        assert answer.status == 200
        assert [(event.event_type, event.content) for event in await remembered(server, "clerk")] == [
            ("task_delegation_received", "file this"),
            ("agent_response", "It is filed."),
        ]
        assert [event.event_type for event in await remembered(server, "boss")] == [
            "user_message",
            "delegation_request",
            "delegation_response",
            "agent_response",
        ]
        assert await told(server) == ["It is filed."]
        tools = (await ask(server, "GET", "/agents/boss/tools")).json()["tools"]
        assert [tool["function"]["name"] for tool in tools] == ["delegate_to_clerk"]
        assert "The clerk here." in tools[0]["function"]["description"]
        assert (await ask(server, "GET", "/agents/clerk/tools")).json()["tools"] == []


async def test_the_environment_alone_makes_neighbours_of_peers() -> None:
    server = mock_agents(
        {"boss": [delegate("clerk"), "Done."], "clerk": ["It is filed."], "idler": ["Well."]},
        {"BOSS__PEER_AGENTS": "clerk"},
    )
    async with server.lifespan():
        assert (await ask_for(server, "boss")).status == 200
        assert await told(server) == ["It is filed."]
    assert [agent.name for agent in server.agents["boss"].sub_agents] == ["clerk"]
    assert not server.agents["idler"].sub_agents


async def test_peers_of_all_are_each_one_but_itself() -> None:
    server = mock_agents({"a": ["A"], "b": ["B"], "c": ["C"]}, peer_agents="a,b")
    known = {name: [peer.name for peer in agent.sub_agents] for name, agent in server.agents.items()}
    assert known == {"a": ["b"], "b": ["a"], "c": ["a", "b"]}


async def test_text_and_steps_come_up_with_their_path() -> None:
    server = mock_agents(
        {
            "boss": [delegate("clerk"), "Done."],
            "clerk": [delegate("scribe", content="Hm. "), "Filed."],
            "scribe": ["Written."],
        },
        sub_agents={"boss": ["clerk"], "clerk": ["scribe"]},
    )
    async with server.lifespan():
        answer = await ask_for(server, "boss", stream=True, stream_options={"include_usage": True})
    assert answer.text() == "Done."
    reports = progress(answer)
    own = [report for report in reports if "path" not in report]
    nested = [report for report in reports if "path" in report]
    assert "".join(report.get("delta", "") for report in own) == "Hm. Filed."
    assert "".join(report.get("delta", "") for report in nested) == "Written."
    assert {(report["target"], *(hop["agent"] for hop in report["path"])) for report in nested} == {
        ("scribe", "clerk")
    }
    assert [report["status"] for report in own if report["status"] != "running"] == ["started", "completed"]


async def test_what_was_said_goes_along_as_history() -> None:
    seen: list[Sequence[ModelMessage]] = []

    def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append(messages)
        return ModelResponse(parts=[TextPart("ok")])

    agents = {"boss": PydanticAgent("test"), "clerk": PydanticAgent(FunctionModel(model))}
    server = serve(
        agents,
        sub_agents={"boss": ["clerk"]},
        boss__debug_mock_responses=[delegate("clerk", "file this"), "Done."],
    )
    async with server.lifespan():
        for text in ("first", "second"):
            assert (await ask_for(server, "boss", text)).status == 200
    said = [getattr(part, "content", None) for message in seen[-1] for part in message.parts]
    assert said == ["first", "Done.", "second", "file this"]


async def test_usage_of_the_other_one_is_in_the_usage_also_when_it_fails() -> None:
    scripts = {"boss": [delegate("clerk"), "Done."], "clerk": [call(("no_such_tool", {})), "A", "B"]}
    server = mock_agents(scripts, sub_agents={"boss": ["clerk"]})
    alone = mock_agents(scripts)
    limited = mock_agents(scripts, sub_agents={"boss": ["clerk"]}, clerk__agentic_loop_max_steps=1)
    spent = []
    for each in (alone, limited, server):
        async with each.lifespan():
            spent.append((await ask_for(each, "boss")).json().get("usage", {"total_tokens": 0}))
    assert spent[2]["total_tokens"] > spent[1]["total_tokens"] > 0
    assert await told(limited) == [
        "[Delegation failed: agent clerk: it failed while it worked on the task (max_steps_exceeded)]"
    ]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_failure_is_told_to_the_model_and_names_nothing_inside(stream: bool) -> None:
    def blow_up(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise KeyError("s3cret")

    agents = {"boss": PydanticAgent("test"), "clerk": PydanticAgent(FunctionModel(blow_up))}
    server = serve(
        agents, sub_agents={"boss": ["clerk"]}, boss__debug_mock_responses=[delegate("clerk"), "Well."]
    )
    async with server.lifespan():
        answer = await ask_for(server, "boss", stream=stream)
        assert answer.status == 200
        (result,) = await told(server)
        assert (
            result == "[Delegation failed: agent clerk: it failed while it worked on the task (run_failed)]"
        )
        assert [event.event_type for event in await remembered(server, "clerk")][-1] == "error"
        if stream:
            assert [report["status"] for report in progress(answer)] == ["started", "failed"]


async def test_a_circle_is_refused() -> None:
    server = mock_agents(
        {"a": [delegate("b"), "A."], "b": [delegate("a"), "B."]}, sub_agents={"a": ["b"], "b": ["a"]}
    )
    async with server.lifespan():
        assert (await ask_for(server, "a")).status == 200
        assert await told(server, "b") == [
            "[Delegation failed: agent a: a handed this task on itself, so it cannot be given back to it]"
        ]
        assert await told(server, "a") == ["B."]
        assert len(await remembered(server, "a")) == 4


async def test_a_chain_longer_than_allowed_is_refused_also_by_the_one_who_is_asked() -> None:
    scripts: dict[str, list[Any]] = {"a": [delegate("b"), "A."], "b": [delegate("c"), "B."], "c": ["C."]}
    known = {"a": ["b"], "b": ["c"]}
    for setting in ("delegation_max_depth", "c__delegation_max_depth"):
        limited: dict[str, Any] = {setting: 1}
        server = mock_agents(scripts, sub_agents=known, **limited)
        async with server.lifespan():
            assert (await ask_for(server, "a")).status == 200
            assert await told(server, "b") == [
                "[Delegation failed: agent c: the task was handed on more than 1 times]"
            ]
            assert not await remembered(server, "c")


async def wait_forever(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def stream_nothing(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield ""


def waiting_server(**settings: Any) -> AgentServer:
    waiting = FunctionModel(wait_forever, stream_function=stream_nothing)
    agents = {"boss": PydanticAgent("test"), "clerk": PydanticAgent(waiting)}
    return serve(
        agents,
        sub_agents={"boss": ["clerk"]},
        boss__debug_mock_responses=[delegate("clerk"), "Well."],
        **settings,
    )


async def test_nobody_waits_longer_than_the_delegation_may_take() -> None:
    server = waiting_server(delegation_timeout=0.2)
    async with server.lifespan():
        with anyio.fail_after(10):
            assert (await ask_for(server, "boss")).status == 200
        assert await told(server) == ["[Delegation failed: agent clerk: it had no answer within 0.2 seconds]"]
        assert [event.event_type for event in await remembered(server, "clerk")][-1] == "error"


async def test_the_other_one_gets_no_more_time_than_its_caller_has_left() -> None:
    server = waiting_server(boss__run_timeout=2)
    async with server.lifespan():
        with anyio.fail_after(10):
            assert (await ask_for(server, "boss")).status == 200
        (result,) = await told(server)
        within = re.search(r"it had no answer within ([\d.]+) seconds", result)
        assert within is not None
        # Some of it went by before the call, and some is kept for what comes after it.
        assert 0 < float(within[1]) < 2


async def test_a_client_that_leaves_ends_both() -> None:
    server = waiting_server()
    async with server.lifespan(), exchange(server, make_scope("POST", f"/agents/boss{CHAT}")) as talk:
        talk.send_body(b'{"stream": true, "messages": [{"role": "user", "content": "hi"}]}')

        async def asked() -> bool:
            return bool(await remembered(server, "clerk"))

        await until(asked)
        talk.disconnect()
        with anyio.fail_after(10):
            await talk.ended.wait()
        for name in ("boss", "clerk"):
            last = (await remembered(server, name))[-1]
            assert (last.event_type, last.metadata["code"]) == ("error", "cancelled")


async def test_a_drain_ends_both_with_its_own_reason() -> None:
    server = waiting_server(shutdown_grace_seconds=0.1)
    async with server.lifespan(), exchange(server, make_scope("POST", f"/agents/boss{CHAT}")) as talk:
        talk.send_body(b'{"messages": [{"role": "user", "content": "hi"}]}')

        async def asked() -> bool:
            return bool(await remembered(server, "clerk"))

        await until(asked)
        await server.drain()
        assert talk.answer.status == 503
        assert (await remembered(server, "clerk"))[-1].metadata["code"] == "server_shutdown"


async def test_a_task_takes_no_place_of_its_own() -> None:
    server = mock_agents(
        {"boss": [delegate("clerk"), "Done."], "clerk": ["Filed."]},
        sub_agents={"boss": ["clerk"]},
        max_concurrent_runs=1,
    )
    async with server.lifespan():
        assert (await ask_for(server, "boss")).status == 200
        assert await told(server) == ["Filed."]


async def test_what_the_other_one_remembers_belongs_to_who_asked() -> None:
    server = mock_agents(
        {"boss": [delegate("clerk"), "Done."], "clerk": ["Filed."]},
        sub_agents={"boss": ["clerk"]},
        agent_api_keys="ann:one,bob:two",
    )
    async with server.lifespan():
        headers = {"authorization": "Bearer one"}
        assert (await ask(server, "POST", f"/agents/boss{CHAT}", chat(model="boss"), headers)).status == 200
        counts = []
        for key in ("one", "two"):
            headers = {"authorization": f"Bearer {key}"}
            found = await ask(server, "GET", "/agents/clerk/memory/events", headers=headers)
            counts.append(found.json()["total"])
        assert counts == [2, 0]


async def test_several_tasks_run_at_the_same_time() -> None:
    both = asyncio.Event()
    waiting: list[str] = []

    async def meet(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:

        waiting.append("here")
        if len(waiting) == 2:
            both.set()
        await both.wait()
        return ModelResponse(parts=[TextPart("met")])

    agents = {
        "boss": PydanticAgent("test"),
        "left": PydanticAgent(FunctionModel(meet)),
        "right": PydanticAgent(FunctionModel(meet)),
    }
    script = [call(("delegate_to_left", {"task": "x"}), ("delegate_to_right", {"task": "y"})), "Done."]
    server = serve(agents, sub_agents={"boss": ["left", "right"]}, boss__debug_mock_responses=script)
    async with server.lifespan():
        with anyio.fail_after(10):
            assert (await ask_for(server, "boss")).status == 200
        assert await told(server) == ["met", "met"]


async def test_an_agent_without_a_server_has_neighbours_all_the_same() -> None:
    server = mock_agents(
        {"boss": [delegate("clerk"), "Done."], "clerk": ["Filed."]}, sub_agents={"boss": ["clerk"]}
    )
    with anyio.fail_after(10):
        found = [event async for event in server.agent.run_events(RunRequest(prompt="hi", session_id="s"))]
    assert isinstance(found[-1], Finished)
    steps = [event for event in found if isinstance(event, Progress)]
    assert "".join(step.delta or "" for step in steps) == "Filed."
    for agent in server.agents.values():
        await agent.close()


class Direct(HttpClient):
    """Reaches a server of this process as if it were far away."""

    def __init__(self, server: AgentServer) -> None:
        super().__init__()
        self._far = httpx2.AsyncClient(transport=httpx2.ASGITransport(server), base_url="http://far")

    def get(self) -> httpx2.AsyncClient:
        return self._far

    async def aclose(self) -> None:
        await self._far.aclose()


async def test_an_agent_elsewhere_takes_one_of_several_for_an_agent_of_its_own() -> None:
    several = mock_agents({"scribe": ["Scribbled."], "clerk": ["Filed."]})
    clerk = RemoteAgent("clerk", "http://far/agents/clerk", http_client=Direct(several))
    boss = mock_agents({"boss": [delegate("clerk", "file this"), "Done."]}, sub_agents={"boss": [clerk]})
    async with several.lifespan(), boss.lifespan():
        assert (await ask_for(boss, "boss")).status == 200
        assert await told(boss) == ["Filed."]
        assert [event.event_type for event in await remembered(several, "clerk")] == [
            "task_delegation_received",
            "agent_response",
        ]
        assert not await remembered(several, "scribe")


@pytest.fixture
def exported() -> Iterator[tuple[Telemetry, InMemorySpanExporter]]:
    spans = InMemorySpanExporter()
    traces, measurements = TracerProvider(shutdown_on_exit=False), MeterProvider(shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(spans))
    yield Telemetry(traces, measurements), spans
    traces.shutdown()
    measurements.shutdown()


@pytest.mark.parametrize("stream", [True, False])
async def test_a_task_has_a_span_and_a_line_of_its_own(
    exported: tuple[Telemetry, InMemorySpanExporter], caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    caplog.set_level(logging.INFO, "pais_lite.access")
    telemetry, exporter = exported
    server = mock_agents(
        {"boss": [delegate("clerk"), "Done."], "clerk": ["Filed."]},
        sub_agents={"boss": ["clerk"]},
        telemetry=telemetry,
    )
    async with server.lifespan():
        assert (await ask_for(server, "boss", stream=stream)).status == 200
        (session,) = {event.session_id for event in (await ask_sessions(server, "clerk"))}
    spans = {
        (span.name, (span.attributes or {})["gen_ai.agent.name"]): span
        for span in exporter.get_finished_spans()
    }
    asked, asks = spans["server-run", "clerk"], spans["delegate.clerk", "clerk"]
    assert (asked.kind, asks.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
    assert asked.parent is not None
    assert asked.parent.span_id == asks.context.span_id
    usage = {
        name: (asks.attributes or {})[name]
        for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    }
    assert asked.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "pais_lite",
        "gen_ai.agent.name": "clerk",
        "gen_ai.conversation.id": session,
        "gen_ai.request.model": "clerk",
        "gen_ai.request.stream": stream,
        "gen_ai.response.finish_reasons": ("stop",),
        **usage,
    }
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("task of boss for clerk in ")
    assert f"session {session}, stop" in lines[0]
    assert lines[1].startswith("POST /v1/chat/completions 200 in ")


async def test_a_failed_task_marks_both_spans(exported: tuple[Telemetry, InMemorySpanExporter]) -> None:
    telemetry, exporter = exported
    server = mock_agents(
        {"boss": [delegate("clerk"), "Done."], "clerk": [call(("no_such_tool", {})), "Filed."]},
        sub_agents={"boss": ["clerk"]},
        telemetry=telemetry,
        clerk__agentic_loop_max_steps=1,
    )
    async with server.lifespan():
        assert (await ask_for(server, "boss")).status == 200
    errors = {
        (span.name, (span.attributes or {})["gen_ai.agent.name"]): (span.attributes or {}).get("error.type")
        for span in exporter.get_finished_spans()
    }
    assert errors == {
        ("server-run", "boss"): None,
        ("delegate.clerk", "clerk"): "delegation_failed",
        ("server-run", "clerk"): "max_steps_exceeded",
    }


async def ask_sessions(server: AgentServer, agent: str) -> Sequence[SessionMemory]:
    return (await server.agents[agent].memory.list_sessions(10, None)).sessions
