"""Stored events as a model reads them: as Pydantic AI messages, or as lines of text."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Protocol

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart

__all__ = ["conversation_text", "model_messages"]

_SPEAKERS = {"user_message": "User", "task_delegation_received": "User", "agent_response": "Assistant"}


class _Event(Protocol):
    @property
    def event_type(self) -> str: ...
    @property
    def content(self) -> Any: ...
    @property
    def timestamp(self) -> datetime: ...


def model_messages(events: Iterable[_Event]) -> list[ModelMessage]:
    """Turn conversation events into messages, in their order; other events are passed over."""
    messages: list[ModelMessage] = []
    for event in events:
        if event.event_type == "agent_response":
            answer = TextPart(str(event.content))
            messages.append(ModelResponse(parts=[answer], timestamp=event.timestamp))
        elif event.event_type in _SPEAKERS:
            prompt = UserPromptPart(str(event.content), timestamp=event.timestamp)
            messages.append(ModelRequest(parts=[prompt], timestamp=event.timestamp))
    return messages


def conversation_text(events: Iterable[_Event]) -> str:
    """Turn conversation events into one line each, `User: …` or `Assistant: …`."""
    return "\n".join(
        f"{_SPEAKERS[event.event_type]}: {event.content}" for event in events if event.event_type in _SPEAKERS
    )
