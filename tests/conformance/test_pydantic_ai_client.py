"""Pydantic AI's own `OpenAIChatModel`, pointed at `pais run`: an agent whose model is an agent."""

from collections.abc import AsyncIterator

import pytest
from pydantic_ai import Agent, BinaryContent, ModelAPIError, ModelHTTPError
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.conformance.repertoire import (
    ASK_BAKER,
    BREAK_OFF,
    CONCLUSION,
    FIND,
    FOUND,
    MAP,
    REFUSE,
    SHOWN,
    STORY,
    TELL,
    THINK,
    THOUGHT,
)
from tests.support.endpoint import Endpoint

pytestmark = pytest.mark.anyio


@pytest.fixture
async def customer(base_url: str) -> AsyncIterator[Agent[None, str]]:
    """An agent that asks the clerk."""
    provider = OpenAIProvider(base_url=base_url, api_key="none")
    async with provider.client:
        yield Agent(OpenAIChatModel("clerk", provider=provider), instructions="Speak kindly.")


async def test_run_with_usage(customer: Agent[None, str]) -> None:
    result = await customer.run(TELL)

    assert result.output == STORY
    assert result.response.finish_reason == "stop"
    assert (result.usage.input_tokens, result.usage.output_tokens) == (11, 7)


async def test_run_stream_piece_by_piece_with_usage(customer: Agent[None, str]) -> None:
    async with customer.run_stream(TELL) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    assert pieces[0] == "Once"
    assert len(pieces) == len(STORY.split(" "))
    assert "".join(pieces) == STORY
    assert (result.usage.input_tokens, result.usage.output_tokens) == (11, 7)


async def test_usage_of_two_agents(customer: Agent[None, str]) -> None:
    result = await customer.run(ASK_BAKER)
    assert (result.usage.input_tokens, result.usage.output_tokens) == (33, 21)
    async with customer.run_stream(ASK_BAKER) as streamed:
        await streamed.get_output()
    assert (streamed.usage.input_tokens, streamed.usage.output_tokens) == (33, 21)


async def test_tools_of_an_agent_whose_model_is_an_agent(customer: Agent[None, str]) -> None:
    @customer.tool_plain
    def show_on_map(place: str) -> str:
        return f"shown at {place}"

    result = await customer.run(MAP)
    assert result.output == SHOWN


async def test_history_is_kept_by_the_client(customer: Agent[None, str]) -> None:
    first = await customer.run("I am Ada.")
    second = await customer.run("Who am I?", message_history=first.all_messages())

    assert second.output == "I heard: I am Ada. / Who am I?"
    kinds = [type(message) for message in second.all_messages()]
    assert kinds == [ModelRequest, ModelResponse, ModelRequest, ModelResponse]


async def test_history_with_an_image(customer: Agent[None, str], model: Endpoint) -> None:
    history: list[ModelMessage] = [
        ModelRequest(parts=[UserPromptPart(["Look.", BinaryContent(b"\x89PNG", media_type="image/png")])]),
        ModelResponse(parts=[TextPart("A pixel.")]),
    ]

    result = await customer.run("Which colour?", message_history=history)

    assert result.output == "I heard: Look. / Which colour?"
    user_turn = next(message for message in model.calls[0].body["messages"] if message["role"] == "user")
    assert user_turn["content"][1]["image_url"]["url"] == "data:image/png;base64,iVBORw=="


async def test_tools_of_the_clerk_are_not_the_customers_business(customer: Agent[None, str]) -> None:
    plain = await customer.run(FIND)
    async with customer.run_stream(FIND) as result:
        streamed = await result.get_output()

    assert plain.output == streamed == FOUND
    parts = [part for message in result.all_messages() for part in message.parts]
    assert not [part for part in parts if isinstance(part, ToolCallPart)]
    assert plain.usage.input_tokens == result.usage.input_tokens == 22


async def test_thoughts_are_read_as_thoughts(customer: Agent[None, str]) -> None:
    async with customer.run_stream(THINK) as result:
        output = await result.get_output()

    assert output == "Forty-two."
    parts = [part for message in result.all_messages() for part in message.parts]
    assert [part.content for part in parts if isinstance(part, ThinkingPart)] == [THOUGHT]


async def test_failing_model_raises_with_its_status_and_is_asked_once(
    customer: Agent[None, str], model: Endpoint
) -> None:
    with pytest.raises(ModelHTTPError) as failed:
        await customer.run(REFUSE)

    assert failed.value.status_code == 502
    assert isinstance(failed.value.body, dict)
    assert failed.value.body["code"] == "403"
    assert len(model.calls) == 1


async def test_failure_in_the_middle_of_a_stream_raises_after_the_text(
    customer: Agent[None, str], model: Endpoint
) -> None:
    pieces: list[str] = []

    async def read() -> None:
        async with customer.run_stream(BREAK_OFF) as result:
            async for piece in result.stream_text(delta=True, debounce_by=None):
                pieces.append(piece)  # noqa: PERF401 - what came before the failure is wanted

    with pytest.raises(ModelAPIError, match="connection to the model endpoint failed"):
        await read()

    assert "".join(pieces) == "Half an "
    assert len(model.calls) == 1


# ------------------------------------------------------------------------------------------------ the Responses API


@pytest.fixture
async def caller(base_url: str) -> AsyncIterator[Agent[None, str]]:
    """An agent that asks the clerk over the Responses API."""
    provider = OpenAIProvider(base_url=base_url, api_key="none")
    async with provider.client:
        yield Agent(OpenAIResponsesModel("clerk", provider=provider))


@pytest.mark.parametrize("prompt", [TELL, FIND, THINK])
async def test_responses_streamed_and_gone_on_with(caller: Agent[None, str], prompt: str) -> None:
    expected = {TELL: STORY, FIND: FOUND, THINK: CONCLUSION}[prompt]
    async with caller.run_stream(prompt) as streamed:
        text = "".join([piece async for piece in streamed.stream_text(delta=True, debounce_by=None)])
    plain = await caller.run(prompt)
    after = await caller.run("And?", message_history=streamed.all_messages())

    assert text == plain.output == expected
    assert after.output == f"I heard: {prompt} / And?"


async def test_responses_show_what_the_clerk_did(caller: Agent[None, str]) -> None:
    async with caller.run_stream(FIND) as streamed:
        await streamed.get_output()
    parts = [part for message in streamed.all_messages() for part in message.parts]

    assert [part.tool_name for part in parts if isinstance(part, NativeToolReturnPart)] == [
        "mcp_server:tools"
    ]
    async with caller.run_stream(THINK) as streamed:
        await streamed.get_output()
    parts = [part for message in streamed.all_messages() for part in message.parts]
    assert [part.content for part in parts if isinstance(part, ThinkingPart)] == [THOUGHT]


async def test_responses_that_break_off_are_errors(caller: Agent[None, str]) -> None:
    with pytest.raises(ModelAPIError, match="the connection to the model endpoint failed"):
        async with caller.run_stream(BREAK_OFF) as streamed:
            await streamed.get_output()
