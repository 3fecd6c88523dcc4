"""`Memory`, the interface that the agent, its tools and the HTTP routes share, and the values that it speaks in.

A memory belongs to one owner: `for_owner` gives the same storage seen by another. No session of one owner is ever
visible through the memory of another, so nobody above this floor has to filter.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from pydantic_ai.messages import ModelMessage

from pais_lite.memory.history import conversation_text, model_messages

__all__ = ["CONVERSATION_EVENTS", "DEFAULT_OWNER", "Memory", "MemoryEvent", "SessionMemory", "SessionPage"]

# What people and agents said to each other; `MEMORY_CONTEXT_LIMIT` counts these and no others.
CONVERSATION_EVENTS = frozenset({"user_message", "task_delegation_received", "agent_response"})
DEFAULT_OWNER = "user"
_KNOWN_FIELDS = frozenset({"event_id", "timestamp", "event_type", "content", "metadata"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEvent:
    """One thing that happened in a session.

    `content` is text for conversation events and errors, and a JSON object for tool and delegation events. `extra` keeps
    fields that a newer version wrote and this one does not know.
    """

    event_type: str
    content: Any
    metadata: Mapping[str, Any] = field(default_factory=dict)
    event_id: str = field(default_factory=lambda: f"event_{secrets.token_hex(16)}")
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the event as JSON has it, the timestamp in ISO 8601."""
        return {
            **self.extra,
            "event_id": self.event_id,
            "timestamp": self.timestamp.isoformat(),
            "event_type": self.event_type,
            "content": self.content,
            "metadata": dict(self.metadata),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote.

        Raises:
            KeyError: a field is missing.
            ValueError: the timestamp is not ISO 8601.
        """
        return cls(
            event_id=data["event_id"],
            timestamp=datetime.fromisoformat(data["timestamp"]),
            event_type=data["event_type"],
            content=data["content"],
            metadata=data["metadata"],
            extra={name: value for name, value in data.items() if name not in _KNOWN_FIELDS},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMemory:
    """What is known of a session without its events. `user_id` is its owner, `app_name` the agent."""

    session_id: str
    user_id: str
    app_name: str
    created_at: datetime
    updated_at: datetime
    event_count: int

    def to_dict(self) -> dict[str, Any]:
        """Return the session as JSON has it, times in ISO 8601."""
        return {
            "session_id": self.session_id,
            "user_id": self.user_id,
            "app_name": self.app_name,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "event_count": self.event_count,
        }


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page of a listing; `next_cursor` asks for the next one and is `None` on the last."""

    sessions: Sequence[SessionMemory]
    next_cursor: str | None


class Memory(ABC):
    """The sessions of one agent, as one owner sees them.

    Every method raises `MemoryUnavailable` when the backend cannot be reached.
    """

    app_name: str
    owner: str

    @abstractmethod
    def for_owner(self, owner: str) -> "Memory":
        """Return a memory over the same storage that sees the sessions of `owner` and no others."""

    @abstractmethod
    async def append(self, session_id: str, events: Sequence[MemoryEvent]) -> None:
        """Add the events to the end of a session, all or none, creating the session where there is none."""

    @abstractmethod
    async def get_events(
        self, session_id: str, limit: int | None = None, event_types: Collection[str] | None = None
    ) -> list[MemoryEvent]:
        """Return the last `limit` events of the given types, oldest first; an unknown session has none."""

    @abstractmethod
    async def recent_events(self, limit: int) -> list[MemoryEvent]:
        """Return the newest `limit` events over all sessions of the owner, oldest first."""

    @abstractmethod
    async def get_or_create_session(self, session_id: str) -> SessionMemory:
        """Return the session, creating it where there is none."""

    @abstractmethod
    async def get_session(self, session_id: str) -> SessionMemory | None:
        """Return the session, `None` where there is none."""

    @abstractmethod
    async def list_sessions(self, limit: int = 100, cursor: str | None = None) -> SessionPage:
        """Return the sessions of the owner, the latest updated first, from where `cursor` left off.

        Raises:
            InvalidRequest: the cursor did not come from an earlier page.
        """

    @abstractmethod
    async def delete_session(self, session_id: str) -> bool:
        """Forget a session and its events; return whether there was one."""

    @abstractmethod
    async def cleanup_old_sessions(self, max_age_hours: float) -> int:
        """Forget the sessions that were last written to longer ago than that; return how many there were."""

    @abstractmethod
    async def get_memory_stats(self) -> dict[str, int]:
        """Return `total_sessions`, `total_events` and `avg_events_per_session` of the owner."""

    @abstractmethod
    async def check(self) -> None:
        """Return when the backend answers; raises `MemoryUnavailable` when it does not."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of connections. Memories of other owners over the same storage are closed with it."""

    async def add_event(
        self, session_id: str, event_type: str, content: Any, metadata: Mapping[str, Any] | None = None
    ) -> MemoryEvent:
        """Add one event to the end of a session and return it."""
        event = MemoryEvent(event_type=event_type, content=content, metadata=metadata or {})
        await self.append(session_id, [event])
        return event

    async def open_turn(self, session_id: str, turn: MemoryEvent, context_limit: int) -> list[MemoryEvent]:
        """Add the turn that is to be answered, and return the `context_limit` conversation events before it."""
        before = (
            await self.get_events(session_id, context_limit, CONVERSATION_EVENTS) if context_limit else []
        )
        await self.append(session_id, [turn])
        return before

    async def build_conversation_context(self, session_id: str, max_events: int = 20) -> str:
        """Return the last `max_events` conversation events as lines of text, the turn being answered included."""
        return conversation_text(await self.get_events(session_id, max_events, CONVERSATION_EVENTS))

    async def build_message_history(self, session_id: str, limit: int = 6) -> list[ModelMessage]:
        """Return the last `limit` conversation events as Pydantic AI messages, without a turn still unanswered.

        Tool calls are left out: their results are in the answers, and a result without its call would make a model
        endpoint refuse the request.
        """
        if limit < 1:
            return []
        events = await self.get_events(session_id, limit + 1, CONVERSATION_EVENTS)
        if events and events[-1].event_type != "agent_response":
            events.pop()
        return model_messages(events[-limit:])
