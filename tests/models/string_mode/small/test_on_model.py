"""Tool calling on SmolLM2-135M itself, with a margin: the figures of `benchmarks/tool_calling.py` are higher."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import anyio
import httpx2
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ToolCallPart,
)
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from pais_lite.models.local import local_model
from pais_lite.models.string_mode import StringModeModel
from tests.models.string_mode.conversations import streamed

pytestmark = [pytest.mark.anyio, pytest.mark.local_model]

SETTINGS = ModelSettings(temperature=0.0, max_tokens=24)


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    with local_model() as url:
        yield f"{url}/v1"


@pytest.fixture
async def agent(base_url: str) -> AsyncIterator[Agent]:
    async with httpx2.AsyncClient(timeout=60) as client:
        yield agent_at(base_url, client)


def agent_at(base_url: str, client: httpx2.AsyncClient) -> Agent:
    provider = OpenAIProvider(base_url=base_url, api_key="none", http_client=client)
    model = OpenAIChatModel("smollm2", provider=provider)
    agent = Agent(StringModeModel(model), model_settings=SETTINGS)

    @agent.tool_plain
    def find_recipe(dish: str, servings: int = 2) -> str:
        """Find a recipe for a dish."""
        return f"{dish} for {servings}: cook it well"

    @agent.tool_plain
    def set_timer(minutes: int) -> str:
        """Set a kitchen timer."""
        return f"timer set to {minutes} minutes"

    @agent.tool_plain
    def heat_oven(degrees: int, mode: Literal["grill", "bake", "defrost"]) -> str:
        """Heat up the oven."""
        return f"{mode} at {degrees}"

    return agent


def calls_in(messages: list[ModelMessage]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (part.tool_name, part.args_as_dict())
        for message in messages
        if isinstance(message, ModelResponse)
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]


CASES: list[tuple[str, list[tuple[str, dict[str, Any]]]]] = [
    ("Find me a recipe for lasagna", [("find_recipe", {"dish": "lasagna"})]),
    ("I need a recipe for apple pie", [("find_recipe", {"dish": "apple pie"})]),
    ("Set a timer for 12 minutes", [("set_timer", {"minutes": 12})]),
    ("Please start the timer, 8 minutes", [("set_timer", {"minutes": 8})]),
    ("Heat the oven to 180 degrees, bake", [("heat_oven", {"degrees": 180, "mode": "bake"})]),
    ("Turn on the oven grill at 220", [("heat_oven", {"degrees": 220, "mode": "grill"})]),
    ("Hello, how are you?", []),
    ("Who was the first man on the moon?", []),
    ("Thanks a lot!", []),
    ("Tell me something funny.", []),
]


async def test_most_requests_end_in_the_right_call_and_most_talk_in_none(agent: Agent) -> None:
    right = 0
    with anyio.fail_after(100):
        for text, expected in CASES:
            result = await agent.run(text)
            assert result.output
            right += calls_in(result.all_messages()) == expected
    assert right >= 7


async def test_streamed_call_and_answer_hold_no_json(agent: Agent) -> None:
    with anyio.fail_after(60):
        seen, result = await streamed(agent, "Set a timer for 12 minutes")
    assert calls_in(result.all_messages()) == [("set_timer", {"minutes": 12})]
    assert result.usage.input_tokens > 0
    assert seen
    assert "{" not in seen
