"""Which tools of the client the model may call, which it has to, and which are refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from pais_lite import AgentServer, serve
from tests.api.client_tools import (
    CLOCK,
    error_of,
    events_of,
    function,
    make_server,
    post,
    user,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["look_up", "final_result"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_by_the_name_of_one_of_the_agents_is_refused(name: str, stream: bool) -> None:
    server = make_server("hi")
    answer = await post(server, [user()], {"x-session-id": "s"}, tools=[function(name)], stream=stream)
    assert error_of(answer) == (400, "tool_name_clash", "tools")
    assert name in answer.json()["error"]["message"]
    assert await events_of(server, "s") == []


def choosing(seen: list[tuple[list[str], Any]], *answers: str | list[str]) -> AgentServer:
    """Return a server whose model calls tools by the names in `answers`, and that notes what it was told."""
    remaining = iter(answers)

    async def speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        seen.append(
            ([tool.name for tool in info.function_tools], (info.model_settings or {}).get("tool_choice"))
        )
        said = next(remaining)
        if isinstance(said, str):
            yield said
        else:
            for place, name in enumerate(said):
                yield {place: DeltaToolCall(name, '{"place": "Rome"}', tool_call_id=f"{name}{len(seen)}")}

    agent = Agent(FunctionModel(stream_function=speak), name="guide")

    @agent.tool_plain
    async def look_up(place: str) -> str:
        return f"{place} is far"

    return serve(agent, agentic_loop_max_steps=3)


NAMED = {"type": "function", "function": {"name": "map"}}


@pytest.mark.parametrize(
    ("choice", "tools", "settings"),
    [
        ("auto", ["look_up", "clock", "map"], None),
        ("none", ["look_up"], None),
        ("required", ["look_up", "clock", "map"], "required"),
        (NAMED, ["look_up", "map"], ["map"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}},
            ["look_up", "map"],
            None,
        ),
    ],
)
async def test_tool_choice(choice: Any, tools: list[str], settings: Any) -> None:
    seen: list[tuple[list[str], Any]] = []
    await post(choosing(seen, "hi"), [user()], tool_choice=choice, stream=True)
    assert seen == [(tools, settings)]


async def test_a_required_call_is_the_clients_in_the_last_step() -> None:
    seen: list[tuple[list[str], Any]] = []
    server = choosing(seen, ["look_up"], ["look_up"], ["map"])
    answer = await post(server, [user()], tool_choice="required", stream=True)
    assert [settings for _, settings in seen] == ["required", "required", ["clock", "map"]]
    assert answer.chunks()[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": "clock"}, "tools"),
        ({"tools": [1]}, "tools"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
        ({"tools": [function("two words")]}, "tools"),
        ({"tools": [function("")]}, "tools"),
        ({"tools": [CLOCK, CLOCK]}, "tools"),
        ({"tools": [function(f"t{n}") for n in range(129)]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "x", "parameters": []}}]}, "tools"),
        (
            {"tools": [{"type": "function", "function": {"name": "x", "parameters": {"type": "string"}}}]},
            "tools",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "x", "parameters": {"properties": []}}}]},
            "tools",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "x", "parameters": {"required": {}}}}]},
            "tools",
        ),
        ({"tools": [{"type": "function", "function": {"name": "x", "description": 1}}]}, "tools"),
        ({"tools": [{"type": "function", "function": {"name": "x", "strict": "yes"}}]}, "tools"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": 1}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "look_up"}}}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": ["map"]}}}, "tool_choice"),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
            "tool_choice",
        ),
        ({"tools": [], "tool_choice": "required"}, "tool_choice"),
    ],
)
async def test_tools_that_cannot_be_offered_are_refused_by_name(fields: dict[str, Any], param: str) -> None:
    answer = await post(make_server("hi"), [user()], **fields)
    assert (answer.status, answer.json()["error"]["param"]) == (400, param)
