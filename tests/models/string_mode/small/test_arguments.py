"""Arguments that a message spells out, for which no model is asked."""

from typing import Annotated, Any, Literal

import anyio
import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Tool
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite.models.string_mode.small.arguments import fill_arguments
from pais_lite.models.string_mode.small.ask import Asker

pytestmark = pytest.mark.anyio


def fly(origin: str, destination: str, seats: int = 1) -> None:
    """Book a flight."""


def dim(room: str, percent: int, on: bool = True) -> None:
    """Dim the lamps."""


def mail(to: str, subject: str, body: str | None = None) -> None:
    """Send an email."""


def paint(
    colour: Literal["red", "green", "blue"], second_colour: Literal["red", "green", "blue"] | None = None
) -> None:
    """Paint a wall."""


def lock(door: Literal["front", "back"], locked: bool) -> None:
    """Lock or unlock a door."""


def meet(title: str, time: str | None = None) -> None:
    """Plan a meeting."""


def total(amounts: list[float]) -> None:
    """Add up amounts."""


def buy(items: list[str]) -> None:
    """Put groceries on the list."""


def move(old_path: str, new_path: str) -> None:
    """Rename a file."""


def block(card: Annotated[str, Field(pattern=r"^\d{4}$")]) -> None:
    """Block a card."""


def delegate_to_poet(task: str) -> None:
    """Write poems."""


class Person(BaseModel):
    name: str
    age: int


def register(person: Person, vip: bool = False) -> None:
    """Register a person."""


def ping() -> None:
    """Check that all is well."""


@pytest.mark.parametrize(
    ("function", "message", "expected"),
    [
        (fly, "Fly from New York to Rio", {"origin": "New York", "destination": "Rio"}),
        (
            fly,
            "I want to fly from Oslo to Bergen, 3 seats",
            {"origin": "Oslo", "destination": "Bergen", "seats": 3},
        ),
        (dim, "Dim the kitchen to 40 percent", {"room": "kitchen", "percent": 40}),
        (mail, "mail ann@x.org, subject: hello", {"to": "ann@x.org", "subject": "hello"}),
        (mail, "Mail ann@x.org 'See you' please", {"to": "ann@x.org", "subject": "See you"}),
        (paint, "make the wall green", {"colour": "green"}),
        (paint, "paint it blue and red", {"colour": "blue", "second_colour": "red"}),
        (lock, "unlock the back door", {"door": "back", "locked": False}),
        (lock, "Lock the front door", {"door": "front", "locked": True}),
        (meet, "Plan a 'review' at 3 pm", {"title": "review", "time": "3 pm"}),
        (meet, "Plan a 'review' for 5 people", {"title": "review"}),
        (total, "Add up 3, 4.5 and 10", {"amounts": [3, 4.5, 10]}),
        (buy, "Put milk on the groceries list", {"items": ["milk"]}),
        (move, "Rename a.txt to b.txt", {"old_path": "a.txt", "new_path": "b.txt"}),
        (block, "block card 4711 of 2 cards", {"card": "4711"}),
        (delegate_to_poet, "Write me a sonnet", {"task": "Write me a sonnet"}),
        (register, "Register Zoe, 33", {"person": {"name": "Zoe", "age": 33}}),
        (ping, "Is all well?", {}),
    ],
)
async def test_spelled_out(function: Any, message: str, expected: dict[str, Any]) -> None:
    def never(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise AssertionError(messages)

    with anyio.fail_after(5):
        got = await fill_arguments(Asker(FunctionModel(never), None), message, Tool(function).tool_def)
    assert got == expected
