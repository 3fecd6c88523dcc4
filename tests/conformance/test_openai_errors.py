"""Failures, as the exceptions that the OpenAI client for Python makes of them, and how often it tries again."""

import json
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from openai import (
    APIError,
    APIStatusError,
    AsyncOpenAI,
    AsyncStream,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.conformance.repertoire import BREAK_OFF, BURN, HALF, REFUSE, STORY, TELL, perform
from tests.support.endpoint import Cue, Endpoint, ModelCall
from tests.support.processes import Process


def ask(client: OpenAI, prompt: str, **options: Any) -> str | None:
    """Return the answer to one question."""
    options.setdefault("messages", [{"role": "user", "content": prompt}])
    answer: ChatCompletion = client.chat.completions.create(model="clerk", **options)
    return answer.choices[0].message.content


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


async def read_into(read: list[ChatCompletionChunk], chunks: AsyncStream[ChatCompletionChunk]) -> None:
    """Read a stream to its end; what came before a failure is in `read` then."""
    async for chunk in chunks:
        read += [chunk]


def turns_of(server: Process, session: str) -> list[str]:
    """Return what users said in a session: one turn for each request that began a run."""
    with urllib.request.urlopen(f"{server.url}/memory/events?session_id={session}", timeout=30) as answer:
        events = json.load(answer)["events"]
    return [event["content"] for event in events if event["event_type"] == "user_message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "I start."}]}, "messages"),
        ({"messages": [{"role": "wizard", "content": "Abracadabra."}]}, "messages"),
        ({"temperature": "warm"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"extra_body": {"session_id": "no spaces, please"}}, "session_id"),
        ({"extra_headers": {"X-Session-ID": "x" * 129}}, "session_id"),
    ],
    ids=["empty", "no-user", "role", "temperature", "max-tokens", "n", "session-field", "session-header"],
)
def test_bad_request_names_what_is_wrong(
    client: OpenAI, model: Endpoint, fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(BadRequestError) as refused:
        ask(client, TELL, **fields)

    assert refused.value.status_code == 400
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"
    assert param.partition("_")[0] in refused.value.message
    assert model.calls == []


def test_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as missing:
        client.models.retrieve("somebody-else")

    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")


def test_unknown_route_is_not_found(client: OpenAI) -> None:
    with pytest.raises(NotFoundError) as missing:
        client.embeddings.create(model="clerk", input="bread")

    assert missing.value.code == "not_found"


@pytest.mark.parametrize("key", ["key-of-eve", "ada:key-of-ada"])
def test_wrong_key_is_an_authentication_error(guarded_server: Process, model: Endpoint, key: str) -> None:
    with (
        OpenAI(base_url=f"{guarded_server.url}/v1", api_key=key, timeout=60) as client,
        pytest.raises(AuthenticationError) as refused,
    ):
        ask(client, TELL)

    assert refused.value.code == "invalid_api_key"
    assert refused.value.response.headers["www-authenticate"] == "Bearer"
    assert key not in refused.value.message
    assert model.calls == []


def test_right_key_is_let_in(guarded_server: Process, model: Endpoint) -> None:
    with OpenAI(base_url=f"{guarded_server.url}/v1", api_key="key-of-ada", timeout=60) as client:
        assert ask(client, TELL) == STORY


def test_full_server_is_a_rate_limit_and_takes_the_next_one_after(
    guarded_server: Process, model: Endpoint
) -> None:
    begun, go_on = Cue(), Cue()

    async def wait_for_cue(call: ModelCall) -> None:
        begun.give()
        await go_on.given()
        await perform(call)

    model.script = wait_for_cue
    with (
        OpenAI(base_url=f"{guarded_server.url}/v1", api_key="key-of-ada", timeout=60) as client,
        ThreadPoolExecutor() as threads,
    ):
        first = threads.submit(ask, client, TELL)
        try:
            begun.wait()
            with pytest.raises(RateLimitError) as refused:
                ask(client.with_options(max_retries=0), TELL)
        finally:
            go_on.give()
        assert first.result(60) == STORY
        assert ask(client, TELL) == STORY

    assert refused.value.code == "too_many_runs"
    assert int(refused.value.response.headers["retry-after"]) >= 1
    # Nothing had begun, so the client may try again.
    assert "x-should-retry" not in refused.value.response.headers


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_failing_model_is_a_bad_gateway_and_asked_once(
    client: OpenAI, server: Process, model: Endpoint, streamed: bool
) -> None:
    session = f"refused-{uuid.uuid4()}"

    with pytest.raises(InternalServerError) as failed:
        ask(client, REFUSE, stream=streamed, extra_headers={"X-Session-ID": session})

    assert failed.value.status_code == 502
    assert (failed.value.code, failed.value.type) == ("403", "upstream_error")
    assert "sk-of-the-house" not in str(failed.value.body)
    assert failed.value.response.headers["x-session-id"] == session
    assert len(model.calls) == 1
    assert turns_of(server, session) == [REFUSE]


def test_failing_tool_is_an_internal_error_and_run_once(
    client: OpenAI, server: Process, model: Endpoint
) -> None:
    session = f"burnt-{uuid.uuid4()}"

    with pytest.raises(InternalServerError) as failed:
        ask(client, BURN, extra_headers={"X-Session-ID": session})

    assert (failed.value.status_code, failed.value.code) == (500, "run_failed")
    assert "oven" not in str(failed.value.body)
    assert len(model.calls) == 1
    assert turns_of(server, session) == [BURN]


def test_failing_tool_in_a_stream_is_an_error_after_its_progress(client: OpenAI, model: Endpoint) -> None:
    read: list[ChatCompletionChunk] = []

    with (
        client.chat.completions.create(
            model="clerk", messages=[{"role": "user", "content": BURN}], stream=True
        ) as chunks,
        pytest.raises(APIError) as failed,
    ):
        read.extend(chunks)

    extras = [chunk.model_extra or {} for chunk in read]
    assert [extra["progress"]["status"] for extra in extras if extra] == ["started", "failed"]
    assert failed.value.code == "run_failed"
    assert len(model.calls) == 1


def test_failure_in_the_middle_of_a_stream_is_an_error_after_the_text(
    client: OpenAI, server: Process, model: Endpoint
) -> None:
    read: list[ChatCompletionChunk] = []
    session = f"broken-{uuid.uuid4()}"

    with (
        client.chat.completions.create(
            model="clerk",
            messages=[{"role": "user", "content": BREAK_OFF}],
            stream=True,
            extra_headers={"X-Session-ID": session},
        ) as chunks,
        pytest.raises(APIError, match="connection to the model endpoint failed") as failed,
    ):
        read.extend(chunks)

    assert text_of(read) == HALF
    assert not isinstance(failed.value, APIStatusError)
    assert (failed.value.code, failed.value.type, failed.value.param) == (
        "model_unavailable",
        "upstream_error",
        None,
    )
    assert len(model.calls) == 1
    assert turns_of(server, session) == [BREAK_OFF]


@pytest.mark.anyio
async def test_failures_reach_the_async_client_too(base_url: str, model: Endpoint) -> None:
    read: list[ChatCompletionChunk] = []
    async with AsyncOpenAI(base_url=base_url, api_key="none", timeout=60) as client:
        with pytest.raises(InternalServerError) as refused:
            await client.chat.completions.create(
                model="clerk", messages=[{"role": "user", "content": REFUSE}], stream=True
            )
        chunks = await client.chat.completions.create(
            model="clerk", messages=[{"role": "user", "content": BREAK_OFF}], stream=True
        )
        with pytest.raises(APIError) as broken:
            await read_into(read, chunks)

    assert refused.value.status_code == 502
    assert text_of(read) == HALF
    assert broken.value.code == "model_unavailable"
    assert len(model.calls) == 2


def test_stream_helper_raises_what_failed(client: OpenAI, model: Endpoint) -> None:
    with (
        client.chat.completions.stream(
            model="clerk", messages=[{"role": "user", "content": BREAK_OFF}]
        ) as events,
        pytest.raises(APIError) as failed,
    ):
        events.until_done()

    assert failed.value.code == "model_unavailable"
    assert len(model.calls) == 1
