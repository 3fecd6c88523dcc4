"""What a small model does next: call a tool, fill in a form, or talk."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from pais_lite.models.string_mode.calls import Call
from pais_lite.models.string_mode.small.arguments import fill_arguments
from pais_lite.models.string_mode.small.ask import Asker
from pais_lite.models.string_mode.small.relevance import most_relevant

__all__ = ["Decision", "decide", "without_calls"]


@dataclass(frozen=True)
class Decision:
    """What to do next. With neither a call nor tools to offer, the model just talks."""

    call: Call | None = None
    offer: Sequence[ToolDefinition] = ()
    """Tools of which the model has to call one, in its own words: outputs, and a call that went wrong."""
    usage: RequestUsage = field(default_factory=RequestUsage)


async def decide(
    model: Model,
    messages: Sequence[ModelMessage],
    settings: ModelSettings | None,
    tools: Sequence[ToolDefinition],
    *,
    text: bool,
) -> Decision:
    """Decide for the model what the last user message calls for; `text` says whether it may just talk.

    Raises:
        ModelAPIError: if the endpoint fails.
    """
    outputs = [tool for tool in tools if tool.kind == "output"]
    functions = [tool for tool in tools if tool.kind != "output"]
    last = messages[-1].parts if messages else []
    failed = {
        part.tool_name
        for part in last
        if isinstance(part, ToolReturnPart) and part.outcome in ("failed", "retried")
    }
    if again := [tool for tool in tools if tool.name in failed]:
        return Decision(offer=again)
    message, answered = _last_user_message(messages)
    # One call for one message: what such a model would call next, having seen a result, is a matter of chance.
    if message and functions and not answered:
        asker = Asker(model, settings)
        best, *_ = await most_relevant(asker, message, functions)
        if best.wanted or not (text or outputs):
            arguments = await fill_arguments(asker, message, best.tool)
            return Decision(call=Call(best.tool.name, arguments), usage=asker.usage)
        return Decision(offer=() if text else outputs, usage=asker.usage)
    return Decision(offer=() if text else (outputs or functions))


def _last_user_message(messages: Sequence[ModelMessage]) -> tuple[str, bool]:
    """Return the text of the last user message, and whether a tool has returned something since."""
    answered = False
    for message in reversed(messages):
        if not isinstance(message, ModelRequest):
            continue
        answered = answered or any(isinstance(part, ToolReturnPart) for part in message.parts)
        texts = [_text(part) for part in message.parts if isinstance(part, UserPromptPart)]
        if any(texts):
            return "\n".join(text for text in texts if text), answered
    return "", answered


def _text(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return "\n".join(item for item in part.content if isinstance(item, str))


def without_calls(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return the conversation as a small model talks best: results are told by the user, and calls are not shown.

    A model that sees calls writes calls, with or without a reason.
    """
    told: list[ModelMessage] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            parts = [part for part in message.parts if not isinstance(part, ToolCallPart)]
            if parts:
                told.append(replace(message, parts=parts))
            continue
        request = replace(message, parts=[_as_prompt(part) for part in message.parts])
        if told and isinstance(previous := told[-1], ModelRequest):
            told[-1] = replace(request, parts=[*previous.parts, *request.parts])
        else:
            told.append(request)
    return told


def _as_prompt(part: ModelRequestPart) -> ModelRequestPart:
    if not isinstance(part, ToolReturnPart):
        return part
    name = part.tool_name.replace("_", " ")
    return UserPromptPart(f"Here is what {name} says: {part.model_response_str()}\nAnswer with that.")
