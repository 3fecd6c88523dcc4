"""`DEBUG_MOCK_RESPONSES`: a model that answers from a list, so that everything around a model can be tested.

Each run gets a model of its own (`MockScript.new_model`), which starts at the first entry whatever runs beside it. A
run that goes on with a turn, when the client has answered its calls, starts where the turn had got to.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel

from pais_lite.errors import ConfigurationError, MockResponsesExhausted

__all__ = ["MockScript"]

# About the length of a token, so that a streamed mock looks like a streamed model.
_DELTA_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class _Call:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One answer of the model: text, tool calls, or text before tool calls."""

    text: str
    calls: tuple[_Call, ...]


class MockScript:
    """The entries of `DEBUG_MOCK_RESPONSES`, read once.

    An entry is a text, or an object `{"tool_calls": [{"name", "arguments", "id"?}]}`, as JSON or as a text that holds
    that JSON; `arguments` is an object or a text of JSON. `content` beside `tool_calls` is text before the calls.

    Raises:
        ConfigurationError: an entry is neither.
    """

    def __init__(self, responses: Sequence[str | Mapping[str, Any]]) -> None:
        self._entries = tuple(_read_entry(number, response) for number, response in enumerate(responses))

    def new_model(self) -> FunctionModel:
        """Return a model that answers one run, from the first entry on that the turn has not had."""
        remaining: Iterator[_Entry] | None = None

        def next_entry(messages: Sequence[ModelMessage]) -> _Entry:
            nonlocal remaining
            if remaining is None:
                remaining = iter(self._entries[_answers_in_turn(messages) :])
            entry = next(remaining, None)
            if entry is None:
                raise MockResponsesExhausted(
                    f"DEBUG_MOCK_RESPONSES has {len(self._entries)} entries, and the run asked for one more"
                )
            return entry

        async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            entry = next_entry(messages)
            text = [TextPart(entry.text)] if entry.text or not entry.calls else []
            calls = [ToolCallPart(call.name, call.arguments, tool_call_id=call.id) for call in entry.calls]
            return ModelResponse(parts=[*text, *calls])

        async def stream(
            messages: list[ModelMessage], info: AgentInfo
        ) -> AsyncIterator[str | DeltaToolCalls]:
            entry = next_entry(messages)
            if not entry.text and not entry.calls:
                yield ""
            for start in range(0, len(entry.text), _DELTA_CHARACTERS):
                yield entry.text[start : start + _DELTA_CHARACTERS]
            for index, call in enumerate(entry.calls):
                yield {index: DeltaToolCall(call.name, call.arguments, tool_call_id=call.id)}

        return FunctionModel(answer, stream_function=stream, model_name="mock")


def _answers_in_turn(messages: Sequence[ModelMessage]) -> int:
    """Return how often the model has answered since the user last spoke."""
    answers = 0
    for message in messages:
        if isinstance(message, ModelResponse):
            answers += 1
        elif any(isinstance(part, UserPromptPart) for part in message.parts):
            answers = 0
    return answers


def _read_entry(number: int, response: str | Mapping[str, Any]) -> _Entry:
    if isinstance(response, str):
        decoded = _maybe_object(response)
        if decoded is None or "tool_calls" not in decoded:
            return _Entry(response, ())
        response = decoded
    calls, text = response.get("tool_calls", []), response.get("content") or ""
    if (
        not isinstance(calls, list)
        or not isinstance(text, str)
        or ("tool_calls" not in response and not text)
    ):
        raise _wrong(number, "expected a text or an object with `tool_calls`")
    return _Entry(text, tuple(_read_call(number, place, call) for place, call in enumerate(calls)))


def _read_call(number: int, place: int, call: object) -> _Call:
    if not isinstance(call, Mapping):
        raise _wrong(number, "a tool call has to be an object")
    # The OpenAI API nests name and arguments in `function`; both shapes are seen in scripts.
    function = call.get("function", call)
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(name, str) or not name:
        raise _wrong(number, "a tool call needs a `name`")
    arguments = function.get("arguments", {})
    if isinstance(arguments, Mapping):
        arguments = json.dumps(arguments)
    if not isinstance(arguments, str):
        raise _wrong(number, "`arguments` has to be an object or a text of JSON")
    call_id = call.get("id", f"call_{number}_{place}")
    if not isinstance(call_id, str):
        raise _wrong(number, "the `id` of a tool call has to be a text")
    return _Call(call_id, name, arguments)


def _maybe_object(text: str) -> Mapping[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        decoded = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _wrong(number: int, expected: str) -> ConfigurationError:
    return ConfigurationError(f"DEBUG_MOCK_RESPONSES: entry {number} cannot be used: {expected}")
