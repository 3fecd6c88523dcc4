"""`ChatOpenAI` of langchain-openai, pointed at `pais run`."""

from typing import cast

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.conformance.repertoire import (
    ASK_BAKER,
    BREAK_OFF,
    FIND,
    FOUND,
    HALF,
    MAP,
    REFUSE,
    SHOWN,
    STORY,
    TELL,
    THINK,
    said_by,
)
from tests.support.endpoint import Endpoint


@pytest.fixture
def chat(base_url: str) -> ChatOpenAI:
    return ChatOpenAI(model="clerk", base_url=base_url, api_key=SecretStr("none"), timeout=60)


def joined(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    first, *others = chunks
    return sum(others, first)


def test_invoke_with_usage(chat: ChatOpenAI) -> None:
    answer = chat.invoke(TELL)

    assert answer.content == STORY
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == 11
    assert answer.usage_metadata["output_tokens"] == 7
    assert answer.usage_metadata["total_tokens"] == 18


def test_stream_piece_by_piece(chat: ChatOpenAI) -> None:
    chunks = list(chat.stream(TELL))

    assert len([chunk for chunk in chunks if chunk.content]) == len(STORY.split(" "))
    whole = joined(chunks)
    assert whole.content == STORY
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.usage_metadata is None


def test_stream_with_usage(base_url: str) -> None:
    chat = ChatOpenAI(model="clerk", base_url=base_url, api_key=SecretStr("none"), stream_usage=True)

    whole = joined(list(chat.stream(TELL)))

    assert whole.content == STORY
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["total_tokens"] == 18


@pytest.mark.anyio
async def test_async_stream_of_an_agent_with_tools(chat: ChatOpenAI) -> None:
    whole = joined([chunk async for chunk in chat.astream(FIND)])

    assert whole.content == FOUND
    # The tool was the agent's: the client is not asked to run anything.
    assert whole.tool_calls == []
    assert whole.invalid_tool_calls == []


@tool
def show_on_map(place: str) -> str:
    """Show a place to the user."""
    return f"shown at {place}"


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_of_the_client(chat: ChatOpenAI, streamed: bool) -> None:
    bound = chat.bind_tools([show_on_map])
    messages: list[BaseMessage] = [HumanMessage(MAP)]

    chunks = [cast("AIMessageChunk", chunk) for chunk in bound.stream(messages)] if streamed else []
    first: AIMessage = joined(chunks) if streamed else bound.invoke(messages)
    assert [(call["name"], call["args"]) for call in first.tool_calls] == [
        ("show_on_map", {"place": "the oven"})
    ]
    assert first.content == "One moment."
    results = [show_on_map.invoke(call) for call in first.tool_calls]
    second = bound.invoke([*messages, first, *results])

    assert second.content == SHOWN
    assert second.tool_calls == []


def test_thoughts_do_not_get_into_the_answer(chat: ChatOpenAI) -> None:
    assert joined(list(chat.stream(THINK))).content == "Forty-two."


def test_usage_of_two_agents(chat: ChatOpenAI, base_url: str) -> None:
    counting = ChatOpenAI(model="clerk", base_url=base_url, api_key=SecretStr("none"), stream_usage=True)
    for answer in (chat.invoke(ASK_BAKER), joined(list(counting.stream(ASK_BAKER)))):
        assert answer.usage_metadata is not None
        assert answer.usage_metadata["total_tokens"] == 54


def test_conversation_kept_by_the_client(chat: ChatOpenAI, model: Endpoint) -> None:
    answer = chat.invoke(
        [
            SystemMessage("Speak kindly."),
            HumanMessage("I am Ada."),
            AIMessage("Hello, Ada."),
            HumanMessage("Who am I?"),
        ]
    )

    assert answer.content == "I heard: I am Ada. / Who am I?"
    assert "Speak kindly." in "\n".join(said_by(model.calls[0].body, "system"))


def test_failing_model_raises_and_is_asked_once(chat: ChatOpenAI, model: Endpoint) -> None:
    with pytest.raises(openai.InternalServerError, match="status 403"):
        chat.invoke(REFUSE)

    assert len(model.calls) == 1


def test_failure_in_the_middle_of_a_stream_raises_after_the_text(chat: ChatOpenAI, model: Endpoint) -> None:
    read: list[AIMessageChunk] = []

    with pytest.raises(openai.APIError, match="connection to the model endpoint failed"):
        read.extend(chat.stream(BREAK_OFF))

    assert joined(read).content == HALF
    assert len(model.calls) == 1
