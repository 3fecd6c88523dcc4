"""`NullMemory`: nothing is kept, every call succeeds. So no caller ever asks whether memory is on."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from pais_lite.memory.base import DEFAULT_OWNER, Memory, MemoryEvent, SessionMemory, SessionPage

__all__ = ["NullMemory"]


class NullMemory(Memory):
    """The memory of a stateless agent."""

    def __init__(self, *, app_name: str = "agent", owner: str = DEFAULT_OWNER) -> None:
        self.app_name = app_name
        self.owner = owner

    def for_owner(self, owner: str) -> "NullMemory":
        """Return a memory that keeps nothing for that owner either."""
        return NullMemory(app_name=self.app_name, owner=owner)

    async def append(self, session_id: str, events: Sequence[MemoryEvent]) -> None:
        """Forget the events at once."""

    async def get_events(
        self, session_id: str, limit: int | None = None, event_types: Collection[str] | None = None
    ) -> list[MemoryEvent]:
        """Return no event."""
        return []

    async def recent_events(self, limit: int) -> list[MemoryEvent]:
        """Return no event."""
        return []

    async def get_or_create_session(self, session_id: str) -> SessionMemory:
        """Return an empty session, which is not kept."""
        now = datetime.now(UTC)
        return SessionMemory(
            session_id=session_id,
            user_id=self.owner,
            app_name=self.app_name,
            created_at=now,
            updated_at=now,
            event_count=0,
        )

    async def get_session(self, session_id: str) -> SessionMemory | None:
        """Return `None`."""
        return None

    async def list_sessions(self, limit: int = 100, cursor: str | None = None) -> SessionPage:
        """Return an empty page."""
        return SessionPage([], None)

    async def delete_session(self, session_id: str) -> bool:
        """Return that there was no such session."""
        return False

    async def cleanup_old_sessions(self, max_age_hours: float) -> int:
        """Return that nothing was forgotten."""
        return 0

    async def get_memory_stats(self) -> dict[str, int]:
        """Return zeros."""
        return {"total_sessions": 0, "total_events": 0, "avg_events_per_session": 0}

    async def check(self) -> None:
        """Return at once: there is nothing that could be down."""

    async def aclose(self) -> None:
        """Return at once: there is nothing to close."""
