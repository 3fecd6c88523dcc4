"""Which models are too small to choose, by their names and by what endpoints tell."""

import httpx2
import pytest
from openai import AsyncOpenAI
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider

from pais_lite.models.string_mode.small.size import is_small, parameters_in_name

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("smollm2:135m", 135e6),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", 135e6),
        ("SmolLM2-360M-Instruct.Q4_1.gguf", 360e6),
        ("qwen2.5:0.5b", 0.5e9),
        ("llama3.2:1b", 1e9),
        ("mixtral-8x7b-instruct", 56e9),
        ("qwen2.5-7b-instruct-1m", 7e9),
        ("gpt-4o-mini", None),
        ("some-model-1m", None),
        ("phi3", None),
    ],
)
def test_size_in_a_name(name: str, count: float | None) -> None:
    assert parameters_in_name(name) == count


def endpoint(name: str, answer: httpx2.Response) -> OpenAIChatModel:
    client = AsyncOpenAI(
        base_url="http://model.test/v1",
        api_key="none",
        http_client=httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: answer)),
    )
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))


def listed(identity: str, **meta: object) -> httpx2.Response:
    entry = {"id": identity, "object": "model", "created": 1, "owned_by": "x", **meta}
    return httpx2.Response(200, json={"object": "list", "data": [entry]})


async def test_llama_cpp_tells_the_size() -> None:
    assert await is_small(endpoint("m", listed("/models/x.gguf", meta={"n_params": 134_515_008})))
    assert not await is_small(endpoint("m", listed("/models/x.gguf", meta={"n_params": 8_000_000_000})))


async def test_listed_name_tells_the_size() -> None:
    assert await is_small(endpoint("m", listed("/models/SmolLM2-135M-Instruct.gguf")))


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404, json={"error": "no"}),
        httpx2.Response(200, json={"object": "list", "data": []}),
        httpx2.Response(200, text="hello"),
        listed("m"),
    ],
)
async def test_unknown_size_is_not_small(answer: httpx2.Response) -> None:
    assert not await is_small(endpoint("m", answer))


async def test_name_is_enough() -> None:
    assert await is_small(endpoint("smollm2:135m", httpx2.Response(500)))
    assert not await is_small(TestModel())
