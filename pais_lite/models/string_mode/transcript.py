"""A conversation with tool calls, retold in plain messages for a model that knows neither calls nor results.

Calls become text in the very shape that the model is asked to write them in, results become user messages that name
the call they belong to. Everything else, images and thoughts included, stays as it is.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_core import to_json

__all__ = ["call_as_text", "retold"]


def retold(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Return the same conversation without tool call and tool return parts."""
    arguments: dict[str, str] = {}
    told: list[ModelMessage] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            for part in message.parts:
                if isinstance(part, ToolCallPart):
                    arguments[part.tool_call_id] = part.args_as_json_str()
            told.append(replace(message, parts=_response_parts(message.parts)))
        else:
            told.append(replace(message, parts=_request_parts(message.parts, arguments)))
    return told


def call_as_text(calls: Sequence[ToolCallPart]) -> str:
    """Return the JSON in which a model is to write these calls."""
    entries = [{"name": call.tool_name, "arguments": call.args_as_dict()} for call in calls]
    return to_json({"tool_calls": entries}).decode()


def _response_parts(parts: Sequence[ModelResponsePart]) -> list[ModelResponsePart]:
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    if not calls:
        return list(parts)
    others = [part for part in parts if not isinstance(part, ToolCallPart)]
    text = "\n".join(part.content for part in others if isinstance(part, TextPart) and part.content)
    written = f"{text}\n{call_as_text(calls)}" if text else call_as_text(calls)
    return [*(part for part in others if not isinstance(part, TextPart)), TextPart(written)]


def _request_parts(parts: Sequence[ModelRequestPart], arguments: dict[str, str]) -> list[ModelRequestPart]:
    results = [part for part in parts if isinstance(part, ToolReturnPart)]
    if not results:
        return list(parts)
    texts: list[str] = []
    files: list[UserContent] = []
    for result in results:
        text, content = result.model_response_str_and_user_content()
        # The text comes once more as content where files came along with it.
        files.extend(item for item in content if not isinstance(item, str))
        word = "Result" if result.outcome == "success" else "Error"
        texts.append(
            f"{word} of {result.tool_name} {arguments.get(result.tool_call_id, '')}".rstrip() + f":\n{text}"
        )
    told = "\n\n".join(texts)
    others = [part for part in parts if not isinstance(part, ToolReturnPart)]
    return [UserPromptPart([told, *files] if files else told), *others]
