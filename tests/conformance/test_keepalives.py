"""A model that takes its time: the server keeps the connection alive, and no client of Python stumbles over how."""

import json
import urllib.request

import pytest
from langchain_openai import ChatOpenAI
from openai import APIError, APIStatusError, OpenAI
from pydantic import SecretStr
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.conformance.repertoire import REFUSE_LATE, SLOWLY, TAKE_TIME
from tests.support.endpoint import Endpoint
from tests.support.processes import Process


@pytest.fixture
def base_url(fidgety_server: Process, model: Endpoint) -> str:
    return f"{fidgety_server.url}/v1"


def test_keepalives_are_on_the_wire_before_and_between_the_words(base_url: str) -> None:
    body = {"stream": True, "messages": [{"role": "user", "content": TAKE_TIME}]}
    request = urllib.request.Request(
        f"{base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )

    with urllib.request.urlopen(request, timeout=60) as answer:
        wire = answer.read().decode()

    before, between = wire.split("Slowly, ")
    assert before.count(": keepalive\n") >= 1
    assert between.count(": keepalive\n") >= 1
    assert wire.endswith("data: [DONE]\n\n")


def test_openai_client_reads_over_keepalives(client: OpenAI) -> None:
    with client.chat.completions.create(
        model="clerk", messages=[{"role": "user", "content": TAKE_TIME}], stream=True
    ) as chunks:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

    assert text == SLOWLY


def test_openai_stream_helper_reads_over_keepalives(client: OpenAI) -> None:
    with client.chat.completions.stream(
        model="clerk", messages=[{"role": "user", "content": TAKE_TIME}]
    ) as events:
        answer = events.get_final_completion()

    assert answer.choices[0].message.content == SLOWLY


def test_langchain_reads_over_keepalives(base_url: str) -> None:
    chat = ChatOpenAI(model="clerk", base_url=base_url, api_key=SecretStr("none"), timeout=60)

    assert "".join(str(chunk.content) for chunk in chat.stream(TAKE_TIME)) == SLOWLY


@pytest.mark.anyio
async def test_pydantic_ai_reads_over_keepalives(base_url: str) -> None:
    provider = OpenAIProvider(base_url=base_url, api_key="none")
    async with (
        provider.client,
        Agent(OpenAIChatModel("clerk", provider=provider)).run_stream(TAKE_TIME) as result,
    ):
        assert await result.get_output() == SLOWLY


def test_failure_after_a_keepalive_is_an_error_in_the_stream_and_not_tried_again(
    client: OpenAI, model: Endpoint
) -> None:
    chunks = client.chat.completions.create(
        model="clerk", messages=[{"role": "user", "content": REFUSE_LATE}], stream=True
    )

    with chunks, pytest.raises(APIError, match="status 403") as failed:
        list(chunks)

    assert not isinstance(failed.value, APIStatusError)
    assert failed.value.code == "403"
    assert len(model.calls) == 1
