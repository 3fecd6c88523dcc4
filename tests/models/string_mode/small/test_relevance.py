"""Which tool a message wants: by its words, and by likelihoods where words do not decide."""

import json
from typing import Any

import anyio
import pytest
from pydantic_ai import Tool
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite.models.string_mode.small.ask import Asker
from pais_lite.models.string_mode.small.relevance import Relevance, most_relevant

pytestmark = pytest.mark.anyio


def get_weather(city: str) -> None:
    """Get the weather in a city."""


def book_train(start: str, end: str) -> None:
    """Book a train ticket."""


def add(first: float, second: float) -> None:
    """Add two numbers."""


TOOLS = [Tool(one).tool_def for one in (get_weather, book_train, add)]


class Scale:
    """Finds a message likelier where the prompt asks for what `liked` names, and counts how often it is asked."""

    def __init__(self, liked: str | None) -> None:
        self.liked = liked
        self.asked = 0

    def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        self.asked += 1
        settings: Any = info.model_settings
        text = settings["extra_body"]["response_format"]["json_schema"]["schema"]["const"]
        prompt = str(messages[-1].parts[0])
        logprob = -1.0 if self.liked and f"asks for this: {self.liked}" in prompt else -4.0
        quoted = json.dumps(text)
        tokens = ['"', *[f"{word} " for word in quoted[1:-1].split()]]
        tokens[-1] = tokens[-1][:-1]
        logprobs = [{"token": token, "logprob": logprob} for token in [*tokens, '"']]
        details = {"logprobs": logprobs} if self.liked else None
        return ModelResponse(parts=[TextPart(quoted)], provider_details=details)


async def ranked(message: str, liked: str | None = None) -> tuple[list[Relevance], int]:
    scale = Scale(liked)
    with anyio.fail_after(5):
        found = await most_relevant(Asker(FunctionModel(scale), None), message, TOOLS)
    return found, scale.asked


@pytest.mark.parametrize("message", ["Hello!", "Who was Napoleon?", "", "Thank you so much."])
async def test_nothing_in_common_is_talk_at_no_cost(message: str) -> None:
    found, asked = await ranked(message)
    assert not found[0].wanted
    assert asked == 0


@pytest.mark.parametrize(
    ("message", "tool"),
    [("What is the weather in the city of Rome?", "get_weather"), ("Add 3 and 4", "add")],
)
async def test_plain_words_decide_at_no_cost(message: str, tool: str) -> None:
    found, asked = await ranked(message)
    assert found[0].tool.name == tool
    assert found[0].wanted
    assert asked == 0


async def test_likelihood_decides_between_tools() -> None:
    message = "A train ticket to a city with nice weather"
    by_weather, asked = await ranked(message, "get weather")
    by_train, _ = await ranked(message, "book train")
    assert asked == 1 + len(TOOLS)
    assert by_weather[0].tool.name == "get_weather"
    assert by_train[0].tool.name == "book_train"
    assert by_weather[0].lift > 0 == by_weather[1].lift


async def test_without_likelihoods_words_have_to_do() -> None:
    found, asked = await ranked("A train ticket to a city with nice weather")
    assert asked == 1
    assert found[0].wanted


async def test_number_that_is_needed_and_missing_speaks_against_a_tool() -> None:
    found, _ = await ranked("Let me add that I am happy")
    assert not found[0].wanted
