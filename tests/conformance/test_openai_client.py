"""The OpenAI client for Python, plain and asynchronous: answers, streams, tools, sessions, models."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk

from tests.conformance.repertoire import (
    ASK_BAKER,
    ASK_BAKER_IN_VAIN,
    CONCLUSION,
    CUT_SHORT,
    FIND,
    FOUND,
    STORY,
    TELL,
    THINK,
    THOUGHT,
    said_by,
)
from tests.support.endpoint import Endpoint


@pytest.fixture
async def async_client(base_url: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=base_url, api_key="none", timeout=60) as opened:
        yield opened


def stream(client: OpenAI, prompt: str, **options: Any) -> list[ChatCompletionChunk]:
    """Ask for a stream and return its chunks."""
    with client.chat.completions.create(
        model="clerk", messages=[{"role": "user", "content": prompt}], stream=True, **options
    ) as chunks:
        return list(chunks)


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def extras_of(chunks: list[ChatCompletionChunk], name: str) -> list[Any]:
    """Return a field that the client has no name for, from all chunks and deltas that hold it."""
    holders = [holder for chunk in chunks for holder in (chunk, *(choice.delta for choice in chunk.choices))]
    extras = [holder.model_extra or {} for holder in holders]
    return [extra[name] for extra in extras if name in extra]


# ------------------------------------------------------------------------------------------------ answers and streams


def test_plain_answer_with_its_usage(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="clerk", messages=[{"role": "user", "content": TELL}])

    assert answer.id.startswith("chatcmpl-")
    assert answer.object == "chat.completion"
    assert answer.model == "clerk"
    assert [choice.message.content for choice in answer.choices] == [STORY]
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (
        11,
        7,
        18,
    )


def test_usage_of_two_agents_by_agent(client: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": ASK_BAKER}]
    plain = client.chat.completions.create(model="clerk", messages=messages).usage
    streamed = stream(client, ASK_BAKER, stream_options={"include_usage": True})[-1].usage

    for usage in (plain, streamed):
        assert usage is not None
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (33, 21, 54)
        agents = (usage.model_extra or {})["agents"]
        assert [(entry["agent"], entry["total_tokens"]) for entry in agents] == [("clerk", 36), ("baker", 18)]


def test_run_that_fails_after_a_delegation_tells_its_usage(client: OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": ASK_BAKER_IN_VAIN}]
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="clerk", messages=messages)
    # Beside the error, of which the client shows what is in it.
    assert caught.value.response.json()["usage"]["total_tokens"] == 36
    assert caught.value.code == "403"

    read: list[ChatCompletionChunk] = []
    with (
        pytest.raises(openai.APIError, match="connection to the model endpoint failed"),
        client.chat.completions.create(
            model="clerk", messages=messages, stream=True, stream_options={"include_usage": True}
        ) as chunks,
    ):
        read.extend(chunks)
    assert read[-1].usage is not None
    assert read[-1].usage.total_tokens == 36


def test_every_answer_has_an_id_of_its_own(client: OpenAI) -> None:
    first, second = (stream(client, TELL)[0].id for _ in range(2))
    plain = client.chat.completions.create(model="clerk", messages=[{"role": "user", "content": TELL}]).id

    assert len({first, second, plain}) == 3


def test_stream_tells_the_story_piece_by_piece(client: OpenAI) -> None:
    chunks = stream(client, TELL)

    assert text_of(chunks) == STORY
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert len(pieces) == len(STORY.split(" "))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in chunks}) == 1
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]


def test_stream_without_include_usage_always_has_a_choice_to_index(client: OpenAI) -> None:
    chunks = stream(client, TELL)

    assert all(len(chunk.choices) == 1 for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)


def test_stream_with_include_usage_ends_with_one_usage_chunk(client: OpenAI) -> None:
    *chunks, last = stream(client, TELL, stream_options={"include_usage": True})

    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (11, 7, 18)
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_stream_helper_puts_the_answer_together(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="clerk",
        messages=[{"role": "user", "content": TELL}],
        stream_options={"include_usage": True},
    ) as events:
        deltas = [event.delta for event in events if event.type == "content.delta"]
        answer = events.get_final_completion()

    assert "".join(deltas) == STORY
    assert answer.choices[0].message.content == STORY
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 18


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_answer_cut_short_by_the_model_says_length(client: OpenAI, streamed: bool) -> None:
    if streamed:
        chunks = stream(client, CUT_SHORT)
        told, reason = text_of(chunks), chunks[-1].choices[0].finish_reason
    else:
        answer = client.chat.completions.create(
            model="clerk", messages=[{"role": "user", "content": CUT_SHORT}]
        )
        told, reason = answer.choices[0].message.content or "", answer.choices[0].finish_reason

    assert (told, reason) == ("Once upon", "length")


def test_parameters_reach_the_model(client: OpenAI, model: Endpoint) -> None:
    client.chat.completions.create(
        model="clerk",
        messages=[{"role": "user", "content": TELL}],
        temperature=0.25,
        top_p=0.5,
        max_completion_tokens=99,
        stop=["END"],
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logit_bias={"42": -1},
        parallel_tool_calls=False,
        user="ada",
    )

    sent = model.calls[0].body
    assert sent["model"] == "scripted"
    assert {name: sent[name] for name in ("temperature", "top_p", "max_tokens", "stop", "seed", "user")} == {
        "temperature": 0.25,
        "top_p": 0.5,
        "max_tokens": 99,
        "stop": ["END"],
        "seed": 7,
        "user": "ada",
    }
    assert (sent["presence_penalty"], sent["frequency_penalty"]) == (0.1, 0.2)
    assert sent["logit_bias"] == {"42": -1}
    assert sent["parallel_tool_calls"] is False


# ------------------------------------------------------------------------------------------------ thoughts and tools


def test_thoughts_are_streamed_beside_the_answer(client: OpenAI) -> None:
    chunks = stream(client, THINK)

    assert "".join(extras_of(chunks, "reasoning_content")) == THOUGHT
    assert "".join(extras_of(chunks, "reasoning")) == THOUGHT
    assert text_of(chunks) == CONCLUSION


def test_tool_of_the_agent_is_run_by_the_server(client: OpenAI, model: Endpoint) -> None:
    answer = client.chat.completions.create(model="clerk", messages=[{"role": "user", "content": FIND}])

    assert answer.choices[0].message.content == FOUND
    assert answer.choices[0].message.tool_calls is None
    assert answer.choices[0].finish_reason == "stop"
    assert len(model.calls) == 2
    assert answer.usage is not None
    # Both calls of the model are paid for.
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (22, 14)


def test_progress_of_a_tool_passes_through_a_stream_unharmed(client: OpenAI) -> None:
    chunks = stream(client, FIND)

    started, completed = extras_of(chunks, "progress")
    duration = completed.pop("duration_ms")
    assert isinstance(duration, int)
    assert started == {
        "type": "progress",
        "step": 1,
        "max_steps": 5,
        "action": "tool_call",
        "target": "find_order",
        "call_id": "call_1",
        "status": "started",
    }
    assert completed == {**started, "status": "completed"}
    assert text_of(chunks) == FOUND
    assert all(chunk.choices[0].delta.tool_calls is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_stream_helper_reads_over_progress_and_thoughts(client: OpenAI) -> None:
    for prompt, told in ((FIND, FOUND), (THINK, CONCLUSION)):
        with client.chat.completions.stream(
            model="clerk", messages=[{"role": "user", "content": prompt}]
        ) as events:
            answer = events.get_final_completion()

        assert answer.choices[0].message.content == told
        assert not answer.choices[0].message.tool_calls


# ------------------------------------------------------------------------------------------------ conversations


def test_client_that_keeps_the_conversation_sends_all_of_it(client: OpenAI, model: Endpoint) -> None:
    answer = client.chat.completions.create(
        model="clerk",
        messages=[
            {"role": "system", "content": "Speak kindly."},
            {"role": "user", "content": "I am Ada."},
            {"role": "assistant", "content": "Hello, Ada."},
            {"role": "user", "content": "Who am I?"},
        ],
    )

    assert answer.choices[0].message.content == "I heard: I am Ada. / Who am I?"
    sent = model.calls[0].body
    assert said_by(sent, "assistant") == ["Hello, Ada."]
    instructions = "\n".join(said_by(sent, "system"))
    assert "Speak kindly." in instructions
    assert "order book" in instructions


@pytest.mark.parametrize("how", ["header", "body"])
def test_server_keeps_the_conversation_of_a_named_session(client: OpenAI, how: str) -> None:
    session = f"bakery:{uuid.uuid4()}"
    options: dict[str, Any] = (
        {"extra_headers": {"X-Session-ID": session}}
        if how == "header"
        else {"extra_body": {"session_id": session}}
    )

    for prompt, heard in (("I am Ada.", "I am Ada."), ("Who am I?", "I am Ada. / Who am I?")):
        raw = client.chat.completions.with_raw_response.create(
            model="clerk", messages=[{"role": "user", "content": prompt}], **options
        )
        assert raw.headers["x-session-id"] == session
        assert raw.parse().choices[0].message.content == f"I heard: {heard}"


def test_streamed_and_plain_turns_make_one_conversation(client: OpenAI) -> None:
    named = {"X-Session-ID": f"bakery:{uuid.uuid4()}"}

    stream(client, "One.", extra_headers=named)
    client.chat.completions.create(
        model="clerk", messages=[{"role": "user", "content": "Two."}], extra_headers=named
    )

    assert text_of(stream(client, "Three.", extra_headers=named)) == "I heard: One. / Two. / Three."


def test_session_in_the_header_wins_over_the_one_in_the_body(client: OpenAI) -> None:
    header, body = f"header-{uuid.uuid4()}", f"body-{uuid.uuid4()}"

    raw = client.chat.completions.with_raw_response.create(
        model="clerk",
        messages=[{"role": "user", "content": "Hello."}],
        extra_headers={"X-Session-ID": header},
        extra_body={"session_id": body},
    )

    assert raw.headers["x-session-id"] == header


def test_answer_without_a_session_names_one_to_go_on_with(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="clerk", messages=[{"role": "user", "content": "I am Ada."}]
    )

    answer = client.chat.completions.create(
        model="clerk",
        messages=[{"role": "user", "content": "Who am I?"}],
        extra_headers={"X-Session-ID": raw.headers["x-session-id"]},
    )

    assert answer.choices[0].message.content == "I heard: I am Ada. / Who am I?"


def test_the_agent_is_the_one_model(client: OpenAI) -> None:
    (listed,) = client.models.list()
    retrieved = client.models.retrieve("clerk")

    assert (listed.id, listed.object) == ("clerk", "model")
    assert retrieved == listed


# ------------------------------------------------------------------------------------------------ asynchronous


@pytest.mark.anyio
async def test_async_plain_answer_and_models(async_client: AsyncOpenAI) -> None:
    answer = await async_client.chat.completions.create(
        model="clerk", messages=[{"role": "user", "content": TELL}]
    )
    listed = [listed.id async for listed in async_client.models.list()]

    assert answer.choices[0].message.content == STORY
    assert listed == ["clerk"]


@pytest.mark.anyio
async def test_async_stream_with_tools_and_usage(async_client: AsyncOpenAI) -> None:
    chunks = [
        chunk
        async for chunk in await async_client.chat.completions.create(
            model="clerk",
            messages=[{"role": "user", "content": FIND}],
            stream=True,
            stream_options={"include_usage": True},
        )
    ]

    assert text_of(chunks) == FOUND
    assert [progress["status"] for progress in extras_of(chunks, "progress")] == ["started", "completed"]
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 36


@pytest.mark.anyio
async def test_async_stream_helper_puts_the_answer_together(async_client: AsyncOpenAI) -> None:
    async with async_client.chat.completions.stream(
        model="clerk", messages=[{"role": "user", "content": TELL}]
    ) as events:
        deltas = [event.delta async for event in events if event.type == "content.delta"]
        answer = await events.get_final_completion()

    assert "".join(deltas) == STORY
    assert answer.choices[0].message.content == STORY
