"""Agents on models that know no tools: conversations, outputs, and endpoints that refuse a schema."""

import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio
import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, ModelRetry, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from pais_lite.models.string_mode import StringModeModel

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Pydantic AI runs on asyncio only."""
    return "asyncio"


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


def call(tool: str, **arguments: Any) -> str:
    return json.dumps({"tool_calls": [{"name": tool, "arguments": arguments}]})


async def run(agent: Agent[None, Any], prompt: str, *, stream: bool) -> tuple[Any, str, list[ModelMessage]]:
    """Return the output, all text that a client would have seen, and the messages."""
    with anyio.fail_after(20):
        if not stream:
            result = await agent.run(prompt)
            return result.output, "", result.all_messages()
        seen = ""
        async with agent.run_stream_events(prompt) as events:
            final = None
            async for event in events:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    seen += event.part.content
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    seen += event.delta.content_delta
                elif event.event_kind == "agent_run_result":
                    final = event.result
        assert final is not None
        return final.output, seen, final.all_messages()


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


class City(BaseModel):
    name: str
    people: int


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


# ------------------------------------------------------------------------------- endpoints that speak chat completions


class Wire:
    """An endpoint of the chat-completions protocol that answers with what is written, and remembers the bodies."""

    def __init__(
        self, *answers: str, refuses: Callable[[dict[str, Any]], int | None] = lambda body: None
    ) -> None:
        self.answers = list(answers)
        self.refuses = refuses
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            return httpx2.Response(404, json={"error": {"message": "not here"}})
        body = json.loads(request.content)
        self.bodies.append(body)
        if status := self.refuses(body):
            return httpx2.Response(status, json={"error": {"message": "response_format is not supported"}})
        text = self.answers.pop(0)
        base = {"id": "1", "created": 1, "model": "m"}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            return httpx2.Response(200, json={**base, "object": "chat.completion", "choices": [choice]})
        chunks: Sequence[dict[str, Any]] = [
            {"index": 0, "delta": {"content": char}, "finish_reason": None} for char in text
        ] + [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        events = [
            f"data: {json.dumps({**base, 'object': 'chat.completion.chunk', 'choices': [chunk]})}\n\n"
            for chunk in chunks
        ]
        return httpx2.Response(
            200, content="".join([*events, "data: [DONE]\n\n"]), headers={"content-type": "text/event-stream"}
        )

    def agent(self) -> Agent:
        client = AsyncOpenAI(
            base_url="http://model.test/v1",
            api_key="none",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(self)),
        )
        agent = Agent(StringModeModel(OpenAIChatModel("m", provider=OpenAIProvider(openai_client=client))))

        @agent.tool_plain
        def double(number: int) -> int:
            """Double a number."""
            return 2 * number

        return agent


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_is_constrained_to_calls_or_text(stream: bool) -> None:
    wire = Wire(call("double", number=21), '{"text": "It is \\"42\\".\\n"}')
    output, seen, _ = await run(wire.agent(), "Double 21", stream=stream)
    assert output == 'It is "42".\n'
    if stream:
        assert seen == output
    assert "tools" not in wire.bodies[0]
    schema = wire.bodies[0]["response_format"]["json_schema"]["schema"]
    calls, text = schema["anyOf"]
    assert calls["properties"]["tool_calls"]["items"]["properties"]["name"] == {"const": "double"}
    assert text["properties"] == {"text": {"type": "string"}}


@pytest.mark.parametrize("status", [400, 404, 422, 500])
@pytest.mark.parametrize("stream", [False, True])
async def test_refused_schema_is_left_out_from_then_on(
    caplog: pytest.LogCaptureFixture, stream: bool, status: int
) -> None:
    wire = Wire(
        call("double", number=21),
        "It is 42.",
        "Hello!",
        refuses=lambda body: status if "response_format" in body else None,
    )
    agent = wire.agent()
    with caplog.at_level(logging.INFO, "pais_lite"):
        assert (await run(agent, "Double 21", stream=stream))[0] == "It is 42."
        assert (await run(agent, "Hi", stream=stream))[0] == "Hello!"
    assert ["response_format" in body for body in wire.bodies] == [True, False, False, False]
    assert len([record for record in caplog.records if "response_format" in record.getMessage()]) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_error_that_has_nothing_to_do_with_the_schema_is_raised(stream: bool) -> None:
    wire = Wire(refuses=lambda body: 404)
    with pytest.raises(ModelHTTPError):
        await run(wire.agent(), "Double 21", stream=stream)
    assert ["response_format" in body for body in wire.bodies] == [True, False]


async def test_endpoint_that_ignores_the_schema() -> None:
    wire = Wire("Sure: " + call("double", number=21), "It is 42.")
    output, seen, _ = await run(wire.agent(), "Double 21", stream=True)
    assert output == "It is 42."
    assert seen == "Sure:It is 42."


# ------------------------------------------------------------------------------------------------ very small models


def small_agent(wire: Wire, output_type: Any = str) -> Agent[None, Any]:
    client = AsyncOpenAI(
        base_url="http://model.test/v1",
        api_key="none",
        max_retries=0,
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(wire)),
    )
    model = StringModeModel(OpenAIChatModel("tiny:135m", provider=OpenAIProvider(openai_client=client)))
    agent: Agent[None, Any] = Agent(model, output_type=output_type)

    @agent.tool_plain
    def double(number: int) -> int:
        """Double a number."""
        return 2 * number

    return agent


@pytest.mark.parametrize("stream", [False, True])
async def test_small_model_is_told_the_result_and_no_tool(stream: bool) -> None:
    wire = Wire("It is 42.")
    output, seen, messages = await run(small_agent(wire), "Double the number 21", stream=stream)
    assert output == "It is 42."
    if stream:
        assert seen == output
    assert [
        part.args_as_dict()
        for message in messages
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ] == [{"number": 21}]
    (body,) = wire.bodies
    assert "response_format" not in body
    assert "42" in str(body["messages"])
    assert "tool_calls" not in str(body["messages"])


@pytest.mark.parametrize("stream", [False, True])
async def test_small_model_just_talks(stream: bool) -> None:
    wire = Wire("Good morning to you!")
    output, _, messages = await run(small_agent(wire), "Good morning!", stream=stream)
    assert output == "Good morning to you!"
    assert not [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    assert [body["messages"] for body in wire.bodies] == [[{"role": "user", "content": "Good morning!"}]]


async def test_small_model_fills_in_an_output() -> None:
    wire = Wire(call("final_result", name="Oslo", people=42))
    output, _, _ = await run(small_agent(wire, City), "Double the number 21", stream=False)
    assert output == City(name="Oslo", people=42)
    schema = wire.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["tool_calls"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", ["Good morning!", "Double the number 21"])
async def test_small_model_with_tools_is_held_to_the_form_of_its_answer(prompt: str, stream: bool) -> None:
    wire = Wire('{"name": "Oslo", "people": 42}')
    output, _, messages = await run(small_agent(wire, NativeOutput(City)), prompt, stream=stream)
    assert output == City(name="Oslo", people=42)
    called = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    assert len(called) == ("Double" in prompt)
    # Nothing of tools is in the one request, which would fight with the form.
    (body,) = wire.bodies
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["name", "people"]
    assert "tool_calls" not in str(body["messages"])
