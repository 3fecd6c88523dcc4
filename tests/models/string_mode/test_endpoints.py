"""String mode on endpoints that hold to a schema, refuse it or ignore it, and on very small models."""

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ToolCallPart
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from pais_lite.models.string_mode import StringModeModel
from tests.models.string_mode.conversations import City, call, run

pytestmark = pytest.mark.anyio


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

    def agent(self, model: str = "m", output_type: Any = str) -> Agent[None, Any]:
        """Return an agent on this endpoint; of the name of its model, only the size counts."""
        client = AsyncOpenAI(
            base_url="http://model.test/v1",
            api_key="none",
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(self)),
        )
        wrapped = OpenAIChatModel(model, provider=OpenAIProvider(openai_client=client))
        agent: Agent[None, Any] = Agent(StringModeModel(wrapped), output_type=output_type)

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


TINY = "tiny:135m"


@pytest.mark.parametrize("stream", [False, True])
async def test_small_model_is_told_the_result_and_no_tool(stream: bool) -> None:
    wire = Wire("It is 42.")
    output, seen, messages = await run(wire.agent(TINY), "Double the number 21", stream=stream)
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
    output, _, messages = await run(wire.agent(TINY), "Good morning!", stream=stream)
    assert output == "Good morning to you!"
    assert not [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    assert [body["messages"] for body in wire.bodies] == [[{"role": "user", "content": "Good morning!"}]]


async def test_small_model_fills_in_an_output() -> None:
    wire = Wire(call("final_result", name="Oslo", people=42))
    output, _, _ = await run(wire.agent(TINY, City), "Double the number 21", stream=False)
    assert output == City(name="Oslo", people=42)
    schema = wire.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["tool_calls"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("prompt", ["Good morning!", "Double the number 21"])
async def test_small_model_with_tools_is_held_to_the_form_of_its_answer(prompt: str, stream: bool) -> None:
    wire = Wire('{"name": "Oslo", "people": 42}')
    output, _, messages = await run(wire.agent(TINY, NativeOutput(City)), prompt, stream=stream)
    assert output == City(name="Oslo", people=42)
    called = [part for message in messages for part in message.parts if isinstance(part, ToolCallPart)]
    assert len(called) == ("Double" in prompt)
    # Nothing of tools is in the one request, which would fight with the form.
    (body,) = wire.bodies
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["name", "people"]
    assert "tool_calls" not in str(body["messages"])
