"""A conversation with a real language model, in one process that needs no key, no service and no network."""

import json
import time
import uuid
from collections.abc import Iterator

import pytest
from openai import OpenAI
from openai.types import CompletionUsage

from tests.support.processes import LOCAL_TIMEOUT, Process, local_pais_run

pytestmark = pytest.mark.local_model


@pytest.fixture(scope="module")
def local_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with local_pais_run(tmp_path_factory.mktemp("local")) as process:
        yield process


@pytest.fixture
def client(local_server: Process) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{local_server.url}/v1", api_key="none", timeout=LOCAL_TIMEOUT) as opened:
        yield opened


def listen(client: OpenAI, prompt: str, session: str) -> tuple[str, list[float], CompletionUsage]:
    """Say something; return the answer, when each piece of it came, and what it cost."""
    answer, times, usage = "", [], None
    with client.chat.completions.create(
        model="agent",
        messages=[{"role": "user", "content": prompt}],
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=24,
        temperature=0,
        extra_headers={"X-Session-ID": session},
    ) as chunks:
        for chunk in chunks:
            usage = chunk.usage or usage
            if chunk.choices and chunk.choices[0].delta.content:
                answer += chunk.choices[0].delta.content
                times.append(time.monotonic())
    assert usage is not None
    return answer, times, usage


def test_conversation_of_two_turns_with_a_real_model(client: OpenAI) -> None:
    session = f"talk-{uuid.uuid4()}"

    first, first_times, first_usage = listen(client, "Count from one to ten in words.", session)
    second, second_times, second_usage = listen(client, "What is the capital of France?", session)

    for answer, times, usage in ((first, first_times, first_usage), (second, second_times, second_usage)):
        assert answer.strip()
        # Pieces that had been held back would all come in one moment.
        assert len(set(times)) >= 3
        assert times[-1] - times[0] > 0.01
        assert usage.prompt_tokens > 0
        assert 0 < usage.completion_tokens <= 24
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert "Paris" in second
    # The second question was asked with the first turn before it.
    assert second_usage.prompt_tokens > first_usage.prompt_tokens + first_usage.completion_tokens / 2


def test_answer_of_a_real_model_fits_a_schema(client: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "large": {"type": "boolean"}},
        "required": ["city", "large"],
        "additionalProperties": False,
    }
    prompt = "What is the capital of France, and is it large? Answer in JSON."
    with client.chat.completions.create(
        model="agent",
        messages=[{"role": "user", "content": prompt}],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "city", "schema": schema, "strict": True},
        },
        stream=True,
        temperature=0,
        max_tokens=60,
    ) as chunks:
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)

    answer = json.loads(text)
    assert answer.keys() == {"city", "large"}
    assert isinstance(answer["city"], str)
    assert isinstance(answer["large"], bool)


def test_plain_answer_of_a_real_model_that_was_cut_short(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="agent",
        messages=[{"role": "user", "content": "Tell me a long story about a baker."}],
        max_tokens=8,
        temperature=0,
    )

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 8
