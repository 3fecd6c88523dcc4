"""What a client tells of a conversation that the session has yet to learn, as memory keeps it."""

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ModelRequest, TextPart, UserPromptPart

from pais_lite.agent.request import text_of
from pais_lite.memory import MemoryEvent
from pais_lite.telemetry import trace_ids

__all__ = ["earlier_turns"]


def earlier_turns(messages: Sequence[ModelMessage], limit: int) -> list[MemoryEvent]:
    """Return the last `limit` things that were said, for whoever goes on with the session later; no more are read."""
    events: list[MemoryEvent] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            said = [text_of(part.content) for part in message.parts if isinstance(part, UserPromptPart)]
            event_type = "user_message"
        else:
            said = ["".join(part.content for part in message.parts if isinstance(part, TextPart))]
            event_type = "agent_response"
        events += [
            MemoryEvent(event_type=event_type, content=text, metadata=trace_ids()) for text in said if text
        ]
    return events[-limit:] if limit else []
