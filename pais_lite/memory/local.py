"""`LocalMemory`: sessions in this process. Bounded, fast, and gone with the process.

Sessions stand in the order in which they were last written to, so the one to forget when room is needed, or when its
time is up, is always the first: eviction costs the same however many there are.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from itertools import islice

from pais_lite.errors import InvalidRequest
from pais_lite.memory.base import DEFAULT_OWNER, Memory, MemoryEvent, SessionMemory, SessionPage

__all__ = ["LocalMemory"]


@dataclass(slots=True)
class _Session:
    created_at: datetime
    updated_at: datetime
    events: deque[MemoryEvent]


@dataclass(slots=True)
class _Store:
    """What the memories of all owners share; keys are owner and session id."""

    max_sessions: int
    max_session_events: int
    ttl: timedelta | None
    sessions: OrderedDict[tuple[str, str], _Session] = field(default_factory=OrderedDict)

    def touch(self, key: tuple[str, str]) -> _Session:
        """Return the session as the latest written to, made where there is none; forget those whose time is up."""
        now = datetime.now(UTC)
        session = self.sessions.get(key)
        if session is None:
            session = _Session(now, now, deque(maxlen=self.max_session_events))
            self.sessions[key] = session
        else:
            session.updated_at = now
            self.sessions.move_to_end(key)
        while len(self.sessions) > self.max_sessions:
            self.sessions.popitem(last=False)
        if self.ttl is not None:
            self.forget_before(now - self.ttl)
        return session

    def forget_before(self, moment: datetime, owner: str | None = None) -> int:
        """Forget sessions last written to before that moment; return how many."""
        old: list[tuple[str, str]] = []
        for key, session in self.sessions.items():
            if session.updated_at >= moment:
                break
            if owner in (None, key[0]):
                old.append(key)
        for key in old:
            del self.sessions[key]
        return len(old)


class LocalMemory(Memory):
    """At most `max_sessions` sessions of at most `max_session_events` events each, the oldest forgotten first.

    A session that was not written to for `ttl_hours` is forgotten; `None` keeps it until room is needed.
    """

    def __init__(
        self,
        *,
        max_sessions: int = 1000,
        max_session_events: int = 500,
        ttl_hours: float | None = None,
        app_name: str = "agent",
        owner: str = DEFAULT_OWNER,
    ) -> None:
        self.app_name = app_name
        self.owner = owner
        ttl = None if ttl_hours is None else timedelta(hours=ttl_hours)
        self._store = _Store(max_sessions, max_session_events, ttl)

    def for_owner(self, owner: str) -> "LocalMemory":
        """Return a memory over the same storage that sees the sessions of `owner` and no others."""
        memory = copy(self)
        memory.owner = owner
        return memory

    async def append(self, session_id: str, events: Sequence[MemoryEvent]) -> None:
        """Add the events to the end of a session, creating it where there is none."""
        self._store.touch((self.owner, session_id)).events.extend(events)

    async def get_events(
        self, session_id: str, limit: int | None = None, event_types: Collection[str] | None = None
    ) -> list[MemoryEvent]:
        """Return the last `limit` events of the given types, oldest first; an unknown session has none."""
        session = self._maybe_session(session_id)
        if session is None:
            return []
        newest_first: Iterator[MemoryEvent] = reversed(session.events)
        if event_types is not None:
            newest_first = (event for event in newest_first if event.event_type in event_types)
        return list(islice(newest_first, limit))[::-1]

    async def recent_events(self, limit: int) -> list[MemoryEvent]:
        """Return the newest `limit` events over all sessions of the owner, oldest first."""
        newest: list[MemoryEvent] = []
        for session in self._newest_sessions():
            # The sessions come latest first, so one that is older than all we have ends the search.
            if len(newest) == limit and (not limit or session.updated_at < newest[-1].timestamp):
                break
            candidates = [*newest, *islice(reversed(session.events), limit)]
            newest = nlargest(limit, candidates, key=lambda event: event.timestamp)
        return newest[::-1]

    async def get_or_create_session(self, session_id: str) -> SessionMemory:
        """Return the session, creating it where there is none."""
        session = self._maybe_session(session_id) or self._store.touch((self.owner, session_id))
        return self._describe(session_id, session)

    async def get_session(self, session_id: str) -> SessionMemory | None:
        """Return the session, `None` where there is none."""
        session = self._maybe_session(session_id)
        return None if session is None else self._describe(session_id, session)

    async def list_sessions(self, limit: int = 100, cursor: str | None = None) -> SessionPage:
        """Return the sessions of the owner, the latest updated first, from where `cursor` left off."""
        described = [
            self._describe(key[1], session)
            for key, session in self._store.sessions.items()
            if key[0] == self.owner
        ]
        described.sort(key=lambda entry: (entry.updated_at, entry.session_id), reverse=True)
        if cursor is not None:
            before = _position_of(cursor)
            described = [entry for entry in described if (entry.updated_at, entry.session_id) < before]
        page = described[:limit]
        more = len(described) > limit and page
        return SessionPage(page, _cursor_after(page[-1]) if more else None)

    async def delete_session(self, session_id: str) -> bool:
        """Forget a session and its events; return whether there was one."""
        return self._store.sessions.pop((self.owner, session_id), None) is not None

    async def cleanup_old_sessions(self, max_age_hours: float) -> int:
        """Forget the sessions that were last written to longer ago than that; return how many there were."""
        return self._store.forget_before(datetime.now(UTC) - timedelta(hours=max_age_hours), self.owner)

    async def get_memory_stats(self) -> dict[str, int]:
        """Return `total_sessions`, `total_events` and `avg_events_per_session` of the owner."""
        counts = [len(session.events) for session in self._newest_sessions()]
        return {
            "total_sessions": len(counts),
            "total_events": sum(counts),
            "avg_events_per_session": sum(counts) // len(counts) if counts else 0,
        }

    async def check(self) -> None:
        """Return at once: this process is here."""

    async def aclose(self) -> None:
        """Return at once: what is remembered lives as long as the process."""

    def _maybe_session(self, session_id: str) -> _Session | None:
        session = self._store.sessions.get((self.owner, session_id))
        ttl = self._store.ttl
        if session is not None and ttl is not None and session.updated_at < datetime.now(UTC) - ttl:
            return None
        return session

    def _newest_sessions(self) -> Iterator[_Session]:
        for key, session in reversed(self._store.sessions.items()):
            if key[0] == self.owner:
                yield session

    def _describe(self, session_id: str, session: _Session) -> SessionMemory:
        return SessionMemory(
            session_id=session_id,
            user_id=self.owner,
            app_name=self.app_name,
            created_at=session.created_at,
            updated_at=session.updated_at,
            event_count=len(session.events),
        )


def _cursor_after(entry: SessionMemory) -> str:
    # `Z`, since the plus of `+00:00` is a space to whoever puts the cursor into a URL as it is.
    return f"{entry.updated_at.isoformat().replace('+00:00', 'Z')}~{entry.session_id}"


def _position_of(cursor: str) -> tuple[datetime, str]:
    """Read the last session of the page before; a cursor names it so that later writes do not shift the pages."""
    moment, _, session_id = cursor.partition("~")
    try:
        position = datetime.fromisoformat(moment)
    except ValueError as exc:
        raise InvalidRequest("cursor is not one of this listing's", param="cursor") from exc
    if position.tzinfo is None:
        raise InvalidRequest("cursor is not one of this listing's", param="cursor")
    return position, session_id
