"""What `RedisMemory` asks of the server, and how to read the answers: for whoever has more to do in the same round trip."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import getLogger

from pais_lite.encoding import dump_json, load_json
from pais_lite.errors import MemoryUnavailable
from pais_lite.memory.base import CONVERSATION_EVENTS, MemoryEvent
from pais_lite.resp import Command, Reply, RespError

__all__ = [
    "SessionCommands",
    "conversation_before",
    "decode_events",
    "microseconds",
    "scored",
    "translated",
    "unavailable",
    "window_for",
]

_log = getLogger("pais_lite.memory")

# Events read to find the last few of a conversation: enough that its turns may have used some tools each.
_WINDOW_PER_EVENT = 8
_SMALLEST_WINDOW = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCommands:
    """The keys and commands of one owner's sessions."""

    app_name: str
    owner: str
    max_sessions: int
    max_session_events: int
    ttl_seconds: int

    @property
    def index_key(self) -> str:
        """The sorted set of the owner's session ids."""
        return f"pais:{{{self.app_name}}}:sessions:{self.owner}"

    def session_key(self, session_id: str) -> str:
        """Return the hash of what is known of a session."""
        return f"pais:{{{self.app_name}}}:session:{self.owner}:{session_id}"

    def events_key(self, session_id: str) -> str:
        """Return the list of a session's events."""
        return f"pais:{{{self.app_name}}}:events:{self.owner}:{session_id}"

    def append(self, session_id: str, events: Iterable[MemoryEvent]) -> list[Command]:
        """Return what adds events to the end of a session. The first reply is how many it has then."""
        now = datetime.now(UTC)
        session, listed = self.session_key(session_id), self.events_key(session_id)
        index = self.index_key
        expired = microseconds(now) - self.ttl_seconds * 1_000_000
        return [
            ("RPUSH", listed, *(dump_json(event.to_dict()) for event in events)),
            ("LTRIM", listed, -self.max_session_events, -1),
            ("EXPIRE", listed, self.ttl_seconds),
            ("HSETNX", session, "created_at", now.isoformat()),
            ("HSET", session, "updated_at", now.isoformat()),
            ("EXPIRE", session, self.ttl_seconds),
            ("ZADD", index, microseconds(now), session_id),
            ("ZREMRANGEBYSCORE", index, "-inf", f"({expired}"),
            ("ZREMRANGEBYRANK", index, 0, -self.max_sessions - 1),
            ("EXPIRE", index, self.ttl_seconds),
        ]

    def open_turn(self, session_id: str, turn: MemoryEvent, context_limit: int) -> list[Command]:
        """Return what adds a turn, and before that reads the conversation; `conversation_before` reads the replies."""
        read: Command = ("LRANGE", self.events_key(session_id), -window_for(context_limit), -1)
        return [read, *self.append(session_id, [turn])]


def conversation_before(
    replies: Sequence[Reply], turn: MemoryEvent, context_limit: int
) -> list[MemoryEvent] | None:
    """Return the conversation events that were there before a turn, from the first two replies to `open_turn`.

    A turn that used very many tools may have filled the window: then there is `None`, and more has to be read. The turn
    itself is among them when it was opened before, and nobody heard so.
    """
    found = [
        event
        for event in decode_events(replies[0])
        if event.event_type in CONVERSATION_EVENTS and event.event_id != turn.event_id
    ]
    length = replies[1]
    if len(found) < context_limit and isinstance(length, int) and length > window_for(context_limit) + 1:
        return None
    return found[-context_limit:] if context_limit else []


def window_for(count: int) -> int:
    """Return how many events to read to find `count` of a kind among them."""
    return max(_SMALLEST_WINDOW, count * _WINDOW_PER_EVENT)


def decode_events(reply: Reply) -> list[MemoryEvent]:
    """Read events; one that a repeated append stored twice counts where it stands first."""
    events: dict[str, MemoryEvent] = {}
    for text in reply:
        event = MemoryEvent.from_dict(load_json(text))
        events.setdefault(event.event_id, event)
    return list(events.values())


def scored(reply: Reply) -> list[tuple[str, int]]:
    """Read members with scores: pairs in RESP3, a flat list of bulk strings in RESP2."""
    if reply and not isinstance(reply[0], list):
        reply = list(zip(reply[::2], reply[1::2], strict=True))
    return [(bytes(member).decode(), int(float(score))) for member, score in reply]


def microseconds(moment: datetime) -> int:
    """Return a moment as a score of a sorted set."""
    return round(moment.timestamp() * 1_000_000)


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Say in memory's words what the client could not do."""
    try:
        yield
    except RespError as exc:
        _log.warning("the memory backend failed: %r", exc)
        raise unavailable() from exc


def unavailable() -> MemoryUnavailable:
    """Return the error for a backend that cannot be reached."""
    return MemoryUnavailable("the memory of this agent cannot be reached at the moment")
