"""`RedisMemory`: sessions that outlive the process and are shared by its replicas.

Per owner and session, a hash holds what is known of the session and a list its events as JSON; per owner, a sorted set
holds the session ids by the microsecond of their last event. All keys of an agent carry one hash tag, so that they live
in one slot of a cluster, and all expire when nothing was written for the TTL.

Each append is one transaction in one round trip, and opening a turn reads the context in the same one. An append whose
outcome the network swallowed is made sure of: the session is read, and only what is not there is sent again. Should the
first attempt still arrive after that, its events are there twice, and reading gives each only once, by its id.
"""

import logging
from collections.abc import AsyncIterator, Collection, Sequence
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import count

import anyio

from pais_lite.errors import InvalidRequest
from pais_lite.memory.base import (
    CONVERSATION_EVENTS,
    DEFAULT_OWNER,
    Memory,
    MemoryEvent,
    SessionMemory,
    SessionPage,
)
from pais_lite.memory.redis_commands import (
    SessionCommands,
    conversation_before,
    decode_events,
    microseconds,
    scored,
    translated,
    unavailable,
    window_for,
)
from pais_lite.resp import Client, Command, OutcomeUnknown, Reply, RespError, to_dict

__all__ = ["RedisMemory"]

_log = logging.getLogger("pais_lite.memory")

# Sessions looked at in one round trip where all of them may have to be.
_SESSIONS_AT_ONCE = 50
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0


class RedisMemory(Memory):
    """The sessions of one agent in Redis, Valkey, or anything else that speaks RESP.

    `url` is as `pais_lite.resp` reads it. At most `max_session_events` events of a session are kept, the oldest
    forgotten first; beyond `max_sessions`, the sessions longest unused leave the listing and expire with their TTL. An
    append that fails is tried again for `retry_seconds`.

    Raises:
        InvalidUrl: the URL cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        max_sessions: int = 1000,
        max_session_events: int = 500,
        ttl_hours: float = 24,
        retry_seconds: float = 25,
        app_name: str = "agent",
        owner: str = DEFAULT_OWNER,
    ) -> None:
        self.app_name = app_name
        self.owner = owner
        self.retry_seconds = retry_seconds
        self.commands = SessionCommands(
            app_name=app_name,
            owner=owner,
            max_sessions=max_sessions,
            max_session_events=max_session_events,
            ttl_seconds=max(1, round(ttl_hours * 3600)),
        )
        self._client = Client(url)

    def for_owner(self, owner: str) -> "RedisMemory":
        """Return a memory over the same connections that sees the sessions of `owner` and no others."""
        memory = copy(self)
        memory.owner = owner
        memory.commands = replace(self.commands, owner=owner)
        return memory

    def new_client(self, *, command_timeout: float | None = None, connections: int = 2) -> Client:
        """Return another client of the same server, which whoever asked for it closes."""
        return self._client.another(command_timeout=command_timeout, connections=connections)

    async def append(self, session_id: str, events: Sequence[MemoryEvent]) -> None:
        """Add the events to the end of a session, all or none, creating the session where there is none."""
        deadline = anyio.current_time() + self.retry_seconds
        pause, missing = _FIRST_PAUSE, list(events)
        may_have_run = False
        while missing:
            try:
                if may_have_run:
                    stored = {
                        event.event_id
                        for event in await self._read(session_id, -self.commands.max_session_events)
                    }
                    missing = [event for event in missing if event.event_id not in stored]
                    may_have_run = False
                    continue
                await self._client.transaction(self.commands.append(session_id, missing))
                return
            except RespError as exc:
                may_have_run = may_have_run or isinstance(exc, OutcomeUnknown)
                if anyio.current_time() + pause > deadline:
                    _log.error("session %s: %d events could not be stored: %r", session_id, len(missing), exc)
                    raise unavailable() from exc
            await anyio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def open_turn(self, session_id: str, turn: MemoryEvent, context_limit: int) -> list[MemoryEvent]:
        """Add the turn that is to be answered, and return the `context_limit` conversation events before it.

        Not tried again by itself: nobody has seen anything of the turn yet, and its sender had better know at once.
        """
        async with translated():
            replies = await self._client.transaction(self.commands.open_turn(session_id, turn, context_limit))
        before = conversation_before(replies, turn, context_limit)
        return await self.read_before(session_id, turn, context_limit) if before is None else before

    async def read_before(self, session_id: str, turn: MemoryEvent, context_limit: int) -> list[MemoryEvent]:
        """Return the last `context_limit` conversation events before a turn that has just been added."""
        earlier = await self.get_events(session_id, context_limit + 1, CONVERSATION_EVENTS)
        return [event for event in earlier if event.event_id != turn.event_id][-context_limit:]

    async def get_events(
        self, session_id: str, limit: int | None = None, event_types: Collection[str] | None = None
    ) -> list[MemoryEvent]:
        """Return the last `limit` events of the given types, oldest first; an unknown session has none."""
        first = 0 if limit is None or event_types is not None else -limit
        if limit == 0:
            return []
        async with translated():
            if limit is not None and event_types is not None:
                events = _of_types(await self._read(session_id, -window_for(limit)), event_types)
                if len(events) >= limit:
                    return events[-limit:]
            events = _of_types(await self._read(session_id, first), event_types)
        return events if limit is None else events[-limit:]

    async def recent_events(self, limit: int) -> list[MemoryEvent]:
        """Return the newest `limit` events over all sessions of the owner, oldest first."""
        newest: list[MemoryEvent] = []
        async with translated():
            async for batch in self._sessions_by_time():
                commands: list[Command] = [
                    ("LRANGE", self.commands.events_key(name), -limit, -1) for name, _ in batch
                ]
                replies = await self._client.pipeline(commands, idempotent=True)
                streams = [newest, *(decode_events(reply) for reply in replies)]
                newest = list(merge(*streams, key=lambda event: event.timestamp))[-limit:]
                # The sessions come latest first, so once one is older than all we have, so are the rest.
                if len(newest) == limit and batch[-1][1] < microseconds(newest[0].timestamp):
                    break
        return newest

    async def get_or_create_session(self, session_id: str) -> SessionMemory:
        """Return the session, creating it where there is none; two who do so at once get the same one."""
        now = datetime.now(UTC)
        key, index = self.commands.session_key(session_id), self.commands.index_key
        commands: list[Command] = [
            ("HSETNX", key, "created_at", now.isoformat()),
            ("HSETNX", key, "updated_at", now.isoformat()),
            ("EXPIRE", key, self.commands.ttl_seconds),
            ("ZADD", index, "NX", microseconds(now), session_id),
            ("EXPIRE", index, self.commands.ttl_seconds),
            ("HGETALL", key),
            ("LLEN", self.commands.events_key(session_id)),
        ]
        async with translated():
            replies = await self._client.transaction(commands, idempotent=True)
        session = self._maybe_session(session_id, replies[-2], replies[-1])
        assert session is not None
        return session

    async def get_session(self, session_id: str) -> SessionMemory | None:
        """Return the session, `None` where there is none."""
        async with translated():
            return (await self._describe([session_id]))[0]

    async def list_sessions(self, limit: int = 100, cursor: str | None = None) -> SessionPage:
        """Return the sessions of the owner, the latest updated first, from where `cursor` left off."""
        found: list[tuple[str, int]] = []
        async with translated():
            async for batch in self._sessions_by_time(
                before=None if cursor is None else _position_of(cursor)
            ):
                found += batch
                if len(found) > limit:
                    break
            described = await self._describe([name for name, _ in found[:limit]])
        last = found[limit - 1] if len(found) > limit else None
        # A session may expire between the two looks.
        sessions = [session for session in described if session is not None]
        return SessionPage(sessions, f"{last[1]}~{last[0]}" if last else None)

    async def delete_session(self, session_id: str) -> bool:
        """Forget a session and its events; return whether there was one."""
        commands: list[Command] = [
            ("DEL", self.commands.session_key(session_id), self.commands.events_key(session_id)),
            ("ZREM", self.commands.index_key, session_id),
        ]
        async with translated():
            replies = await self._client.transaction(commands, idempotent=True)
        return any(replies)

    async def cleanup_old_sessions(self, max_age_hours: float) -> int:
        """Forget the sessions that were last written to longer ago than that; return how many there were."""
        moment = microseconds(datetime.now(UTC) - timedelta(hours=max_age_hours))
        async with translated():
            names = await self._client.execute("ZRANGEBYSCORE", self.commands.index_key, "-inf", f"({moment}")
            for name in map(_text, names):
                # The score is asked once more, so that a session which is written to meanwhile stays.
                score = await self._client.execute("ZSCORE", self.commands.index_key, name)
                if score is not None and float(score) < moment:
                    await self.delete_session(name)
        return len(names)

    async def get_memory_stats(self) -> dict[str, int]:
        """Return `total_sessions`, `total_events` and `avg_events_per_session` of the owner."""
        sessions = events = 0
        async with translated():
            async for batch in self._sessions_by_time():
                commands: list[Command] = [("LLEN", self.commands.events_key(name)) for name, _ in batch]
                lengths = await self._client.pipeline(commands, idempotent=True)
                sessions += len(batch)
                events += sum(length for length in lengths if isinstance(length, int))
        return {
            "total_sessions": sessions,
            "total_events": events,
            "avg_events_per_session": events // sessions if sessions else 0,
        }

    async def check(self) -> None:
        """Return when the server answers; raises `MemoryUnavailable` when it does not."""
        async with translated():
            await self._client.ping()

    async def aclose(self) -> None:
        """Close the connections, which memories of other owners share."""
        await self._client.aclose()

    async def _read(self, session_id: str, first: int) -> list[MemoryEvent]:
        return decode_events(
            await self._client.execute(
                "LRANGE", self.commands.events_key(session_id), first, -1, idempotent=True
            )
        )

    async def _describe(self, names: Sequence[str]) -> list[SessionMemory | None]:
        commands: list[Command] = []
        for name in names:
            commands += [
                ("HGETALL", self.commands.session_key(name)),
                ("LLEN", self.commands.events_key(name)),
            ]
        replies = await self._client.pipeline(commands, idempotent=True)
        return [
            self._maybe_session(name, replies[2 * place], replies[2 * place + 1])
            for place, name in enumerate(names)
        ]

    def _maybe_session(self, session_id: str, reply: Reply, length: Reply) -> SessionMemory | None:
        fields = {_text(name): _text(value) for name, value in to_dict(reply).items()}
        if not fields:
            return None
        return SessionMemory(
            session_id=session_id,
            user_id=self.owner,
            app_name=self.app_name,
            created_at=datetime.fromisoformat(fields["created_at"]),
            updated_at=datetime.fromisoformat(fields["updated_at"]),
            event_count=length,
        )

    async def _sessions_by_time(
        self, before: tuple[int, str] | None = None
    ) -> AsyncIterator[list[tuple[str, int]]]:
        """Yield the ids of the owner's sessions and their scores, the latest first, some at a time."""
        highest = "+inf" if before is None else str(before[0])
        for offset in count(step=_SESSIONS_AT_ONCE):
            reply = await self._client.execute(
                *("ZREVRANGEBYSCORE", self.commands.index_key, highest, "-inf", "WITHSCORES"),
                *("LIMIT", offset, _SESSIONS_AT_ONCE),
                idempotent=True,
            )
            found = scored(reply)
            # Of those with the very score of the cursor, the ones up to its session have been told already.
            batch = [entry for entry in found if before is None or (entry[1], entry[0]) < before]
            if batch:
                yield batch
            if len(found) < _SESSIONS_AT_ONCE:
                return


def _position_of(cursor: str) -> tuple[int, str]:
    score, tilde, session_id = cursor.partition("~")
    if not tilde or not score.isascii() or not score.isdecimal() or len(score) > 16:
        raise InvalidRequest("cursor is not one of this listing's", param="cursor")
    return int(score), session_id


def _of_types(events: list[MemoryEvent], event_types: Collection[str] | None) -> list[MemoryEvent]:
    return events if event_types is None else [event for event in events if event.event_type in event_types]


def _text(reply: Reply) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)
