"""What the OpenAI client for Python hears of a response: its events, asked for and read."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent


def stream(client: OpenAI, prompt: Any, **options: Any) -> list[ResponseStreamEvent]:
    """Ask for a stream and return its events."""
    with client.responses.create(model="clerk", input=prompt, stream=True, **options) as events:
        return list(events)


def resume(client: OpenAI, run_id: str, after: int) -> list[ResponseStreamEvent]:
    """Return the events of a response after one of them."""
    with client.responses.retrieve(run_id, stream=True, starting_after=after) as events:
        return list(events)


def types_of(events: Sequence[ResponseStreamEvent]) -> list[str]:
    """Return the types of events, pieces of one text only once."""
    types = [event.type.removeprefix("response.") for event in events]
    return [kind for kind, before in zip(types, [None, *types], strict=False) if kind != before]


def text_of(events: Sequence[ResponseStreamEvent]) -> str:
    """Return the text that events told."""
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def final_of(events: Sequence[ResponseStreamEvent]) -> Response:
    """Return the response that the last event holds."""
    return cast("Response", cast("Any", events[-1]).response)


def dumped(events: Iterable[ResponseStreamEvent]) -> list[dict[str, Any]]:
    """Return events with all that came along, also what the client has no name for."""
    return [event.to_dict() for event in events]
