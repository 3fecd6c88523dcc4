"""Agents on models that know no tools: conversations, outputs, and what goes wrong in them."""

import json
from collections.abc import AsyncIterator

import anyio
import pytest
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.settings import ModelSettings

from pais_lite.models.string_mode import StringModeModel
from tests.models.string_mode.conversations import City, call, run

pytestmark = pytest.mark.anyio


class Script:
    """A model that says what is written, and remembers what it was told."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.heard: list[list[ModelMessage]] = []
        self.infos: list[AgentInfo] = []

    def next(self, messages: list[ModelMessage], info: AgentInfo) -> str:
        self.heard.append(messages)
        self.infos.append(info)
        return self.answers[len(self.heard) - 1]

    async def whole(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[TextPart(self.next(messages, info))])

    async def stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        for char in self.next(messages, info):
            yield char

    def model(self) -> StringModeModel:
        return StringModeModel(FunctionModel(self.whole, stream_function=self.stream))

    def last_heard(self) -> str:
        return str([part.content for part in self.heard[-1][-1].parts if hasattr(part, "content")])


@pytest.mark.parametrize("stream", [False, True])
async def test_three_steps(stream: bool) -> None:
    script = Script(
        "I look it up.\n" + call("find_user", name="Ann"),
        "```json\n" + call("orders_of", user_id=7) + "\n```",
        call("status", order="A-1") + " It has arrived.",
        "Ann's order A-1 is on its way.",
    )
    agent = Agent(script.model(), instructions="Be brief.")
    done: list[str] = []

    @agent.tool_plain
    def find_user(name: str) -> int:
        """Find a user's id."""
        done.append(name)
        return 7

    @agent.tool_plain
    def orders_of(user_id: int) -> list[str]:
        """List a user's orders."""
        done.append(str(user_id))
        return ["A-1"]

    @agent.tool_plain
    def status(order: str) -> dict[str, str]:
        """Tell an order's status."""
        done.append(order)
        return {"status": "on its way"}

    output, seen, messages = await run(agent, "Where is Ann's order?", stream=stream)
    assert output == "Ann's order A-1 is on its way."
    assert done == ["Ann", "7", "A-1"]
    if stream:
        assert seen == "I look it up." + output
    calls = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    assert [part.tool_name for part in calls] == ["find_user", "orders_of", "status"]
    assert len({part.tool_call_id for part in calls}) == 3
    assert all(not info.function_tools and not info.output_tools for info in script.infos)
    assert "on its way" in script.last_heard()
    told = str(script.heard[-1])
    assert "ToolCallPart" not in told
    assert "ToolReturnPart" not in told
    assert script.infos[0].instructions is not None
    assert script.infos[0].instructions.startswith("Be brief.")
    assert "Find a user's id." in script.infos[0].instructions


@pytest.mark.parametrize("stream", [False, True])
async def test_structured_output(stream: bool) -> None:
    script = Script(call("people_of", city="Oslo"), call("final_result", name="Oslo", people=700_000))
    agent = Agent(script.model(), output_type=City)

    @agent.tool_plain
    def people_of(city: str) -> int:
        """Count a city's people."""
        return 700_000

    output, seen, _ = await run(agent, "How big is Oslo?", stream=stream)
    assert output == City(name="Oslo", people=700_000)
    assert seen == ""
    assert script.infos[0].instructions is not None
    assert "Always answer with a call" in script.infos[0].instructions


async def test_invalid_arguments_are_asked_for_again() -> None:
    script = Script(call("add", a="one", b=2), call("add", a=1, b=2), "3")
    agent = Agent(script.model())

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert (await run(agent, "1 + 2", stream=False))[0] == "3"
    assert "Error of add" in str(script.heard[1])
    assert "Result of add" in script.last_heard()


async def test_retry_that_a_tool_asks_for() -> None:
    script = Script(call("open_door", code="1"), call("open_door", code="2"), "It is open.")
    agent = Agent(script.model())

    @agent.tool_plain
    def open_door(code: str) -> str:
        """Open the door."""
        if code == "1":
            msg = "wrong code, try 2"
            raise ModelRetry(msg)
        return "open"

    assert (await run(agent, "Open!", stream=False))[0] == "It is open."
    assert "wrong code, try 2" in str(script.heard[1])


async def test_unknown_tool_is_told_as_natively() -> None:
    script = Script(call("fly", to="moon"), "I cannot fly.")
    agent = Agent(script.model())

    @agent.tool_plain
    def walk() -> str:
        """Walk."""
        return "walked"

    assert (await run(agent, "Fly!", stream=False))[0] == "I cannot fly."
    assert "fly" in script.last_heard()


@pytest.mark.parametrize("stream", [False, True])
async def test_several_delegations_in_one_turn(stream: bool) -> None:
    both = json.dumps(
        {
            "tool_calls": [
                {"name": "delegate_to_poet", "arguments": {"task": "a poem"}},
                {"name": "delegate_to_chef", "arguments": {"task": "a soup"}},
            ]
        }
    )
    script = Script(both, "Done.")
    agent = Agent(script.model())
    running: set[str] = set()
    met = anyio.Event()

    async def work(name: str) -> str:
        running.add(name)
        if len(running) == 2:
            met.set()
        with anyio.fail_after(5):
            await met.wait()
        return f"{name} is done"

    @agent.tool_plain
    async def delegate_to_poet(task: str) -> str:
        """Delegate to the poet."""
        return await work(task)

    @agent.tool_plain
    async def delegate_to_chef(task: str) -> str:
        """Delegate to the chef."""
        return await work(task)

    assert (await run(agent, "A poem and a soup", stream=stream))[0] == "Done."
    assert running == {"a poem", "a soup"}
    assert "a poem is done" in script.last_heard()
    assert "a soup is done" in script.last_heard()


async def test_tool_choice_is_kept() -> None:
    script = Script("No tools then.")
    agent = Agent(script.model())

    @agent.tool_plain
    def walk() -> str:
        """Walk."""
        return "walked"

    result = await agent.run(
        "Hi", model_settings=ModelSettings(tool_choice="none", parallel_tool_calls=False)
    )
    assert result.output == "No tools then."
    assert script.infos[0].instructions is None
    assert not {"tool_choice", "parallel_tool_calls"} & set(script.infos[0].model_settings or {})


async def test_agent_without_tools_is_left_alone() -> None:
    script = Script('{"name": "x"}')
    output, _, _ = await run(Agent(script.model()), "Hi", stream=True)
    assert output == '{"name": "x"}'
    assert script.infos[0].instructions is None
