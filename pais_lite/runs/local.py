"""`LocalRuns`: the runs of one process, of which a bounded number is remembered after their end."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from pais_lite.agent import Agent
from pais_lite.agent.event_log import EventLog
from pais_lite.agent.turn import MemoryTurn, Turn
from pais_lite.encoding import dump_json
from pais_lite.errors import NotFound, RunCancelled
from pais_lite.events import Failed, Finished
from pais_lite.memory import Memory, MemoryEvent
from pais_lite.runs.base import (
    FollowedRun,
    NewRun,
    Once,
    RunPage,
    RunRecord,
    Runs,
    RunStatus,
    key_reused,
)
from pais_lite.runs.listing import RunFilter, cursor_after, position_of, read_cursor
from pais_lite.runs.sessions import SessionPolicy, SessionTurns
from pais_lite.runs.under_way import LogFollower, RunUnderWay

__all__ = ["LocalRuns"]

# Runs that have ended and are remembered, and what their logs may weigh together: a few thousand usual answers.
MAX_ENDED_RUNS = 1000
MAX_ENDED_WEIGHT = 32 * 1024 * 1024


@dataclass(slots=True)
class _Ended:
    """What is remembered of a run: neither its request, which may be large, nor its task."""

    known: RunRecord
    log: EventLog
    once: Once | None
    weight: int
    # `known` may be changed later, which does not make it stay longer.
    ended_at: datetime

    def record(self, agent: str) -> RunRecord:
        """Return what is known of the run."""
        return self.known


_Place = tuple[str, str]


class LocalRuns(Runs):
    """Runs that live and are remembered in this process.

    Once they have ended, the `MAX_ENDED_RUNS` latest of them are kept for `ttl_minutes`, fewer when they said much.
    """

    def __init__(
        self, agent: Agent, *, session_policy: SessionPolicy = "queue", ttl_minutes: float = 60
    ) -> None:
        self._agent = agent
        self._turns = SessionTurns(session_policy)
        self._ttl = timedelta(minutes=ttl_minutes)
        # All by owner and id of the run; of those that have ended, the one that did so first comes first.
        self._under_way: dict[_Place, RunUnderWay] = {}
        self._ended: OrderedDict[_Place, _Ended] = OrderedDict()
        self._ended_weight = 0
        # By owner and key: the fingerprint, and which run it is.
        self._once: dict[_Place, tuple[str, _Place]] = {}

    async def start(
        self, new: NewRun, *, on_start: Callable[[], None], on_end: Callable[[], None]
    ) -> FollowedRun:
        """Start a run and follow it from its first event, or the one that came with the same key before."""
        owner = new.request.owner
        if new.once is not None and (earlier := self._earlier(owner, new.once)) is not None:
            return self._follower(earlier, is_new=False)
        on_start()
        memory = self._agent.memory.for_owner(owner)
        turn = _QueuedTurn(self._turns, memory, owner, new.request.session_id)
        run = self._agent.start(new.request, turn)
        entry = RunUnderWay(new, run, dict(new.details), new.created_at)
        place = (owner, new.run_id)
        self._under_way[place] = entry
        if new.once is not None:
            self._once[owner, new.once.key] = (new.once.fingerprint, place)

        def ended() -> None:
            turn.release()
            self._keep(place, entry)
            on_end()

        run.add_done_callback(ended)
        return self._follower(entry)

    async def registered(self, run_id: str, owner: str) -> RunRecord:
        """Return the record: here everybody finds a run from its start."""
        return await self.get(run_id, owner)

    async def get(self, run_id: str, owner: str) -> RunRecord:
        """Return what is known of a run."""
        return self._find(run_id, owner).record(self._agent.name)

    async def follow(self, run_id: str, owner: str) -> FollowedRun:
        """Follow a run from its first event."""
        return self._follower(self._find(run_id, owner))

    async def cancel(self, run_id: str, owner: str) -> RunRecord:
        """End a run, wait for its end, and return its record."""
        entry = self._find(run_id, owner)
        if isinstance(entry, RunUnderWay):
            entry.run.cancel(RunCancelled("the run was cancelled"))
            await entry.run.ending()
        return entry.record(self._agent.name)

    async def delete(self, run_id: str, owner: str) -> bool:
        """Forget a run, which is cancelled if it is under way; return whether there was one."""
        place = (owner, run_id)
        if self._maybe_find(place) is None:
            return False
        self._forget(place)
        entry = self._under_way.pop(place, None)
        if entry is not None:
            self._forget_key(place, entry.new.once)
            entry.run.cancel(RunCancelled("the run was deleted"))
            await entry.run.ending()
        return True

    async def amend(self, run_id: str, owner: str, details: Mapping[str, Any]) -> RunRecord:
        """Add to the details of a run, and return its record."""
        entry, now = self._find(run_id, owner), datetime.now(UTC)
        if isinstance(entry, _Ended):
            merged = {**entry.known.details, **details}
            entry.known = replace(entry.known, details=merged, updated_at=now)
        else:
            entry.details.update(details)
            entry.updated_at = now
        return entry.record(self._agent.name)

    async def list(
        self,
        owner: str,
        *,
        limit: int = 50,
        cursor: str | None = None,
        protocol: str | None = None,
        session_id: str | None = None,
        statuses: Collection[RunStatus] | None = None,
        updated_after: datetime | None = None,
    ) -> RunPage:
        """Return the owner's runs that match all that is given, the latest updated first."""
        self._forget_old()
        wanted = RunFilter(
            protocol=protocol, session_id=session_id, statuses=statuses, updated_after=updated_after
        )
        found = [
            record
            for place, entry in chain[tuple[_Place, RunUnderWay | _Ended]](
                self._under_way.items(), self._ended.items()
            )
            if place[0] == owner
            for record in [entry.record(self._agent.name)]
            if wanted.matches(record)
        ]
        found.sort(key=position_of, reverse=True)
        total = len(found)
        if cursor is not None:
            after = read_cursor(cursor)
            found = [record for record in found if position_of(record) < after]
        page = found[:limit]
        return RunPage(page, cursor_after(page[-1]) if len(found) > limit else None, total)

    def open(self) -> None:
        """Nothing needs to be begun: nobody else knows of these runs."""

    async def aclose(self) -> None:
        """Forget all runs that have ended."""
        self._ended.clear()
        self._once.clear()
        self._ended_weight = 0

    def _find(self, run_id: str, owner: str) -> RunUnderWay | _Ended:
        entry = self._maybe_find((owner, run_id))
        if entry is None:
            raise NotFound(f"there is no run {run_id!r}")
        return entry

    def _maybe_find(self, place: _Place) -> RunUnderWay | _Ended | None:
        self._forget_old()
        return self._under_way.get(place) or self._ended.get(place)

    def _earlier(self, owner: str, once: Once) -> RunUnderWay | _Ended | None:
        self._forget_old()
        known = self._once.get((owner, once.key))
        if known is None:
            return None
        fingerprint, place = known
        if fingerprint != once.fingerprint:
            raise key_reused()
        return self._maybe_find(place)

    def _follower(self, entry: RunUnderWay | _Ended, *, is_new: bool = True) -> FollowedRun:
        run = entry.run if isinstance(entry, RunUnderWay) else None
        return LogFollower(entry.record(self._agent.name), entry.log, run, is_new=is_new)

    def _keep(self, place: _Place, entry: RunUnderWay) -> None:
        """Move a run that has ended to those that are remembered, and forget what is too much."""
        once = entry.new.once
        if not entry.run.has_begun:
            # Nothing has happened, so that the same request may well be tried again.
            self._forget_key(place, once)
        if self._under_way.pop(place, None) is None or not entry.new.store:
            self._forget_key(place, once)
            return
        known = entry.record(self._agent.name)
        weight = entry.log.weight + _weight(known)
        self._ended[place] = _Ended(known, entry.log, once, weight, known.updated_at)
        self._ended_weight += weight
        while len(self._ended) > MAX_ENDED_RUNS or self._ended_weight > MAX_ENDED_WEIGHT:
            self._forget(next(iter(self._ended)))

    def _forget_old(self) -> None:
        horizon = datetime.now(UTC) - self._ttl
        while self._ended:
            place, ended = next(iter(self._ended.items()))
            if ended.ended_at > horizon:
                return
            self._forget(place)

    def _forget(self, place: _Place) -> None:
        ended = self._ended.pop(place, None)
        if ended is not None:
            self._ended_weight -= ended.weight
            self._forget_key(place, ended.once)

    def _forget_key(self, place: _Place, once: Once | None) -> None:
        if once is None:
            return
        key = (place[0], once.key)
        _, holder = self._once.get(key, (None, None))
        if holder == place:
            # Else it was free, and another run has come with it since.
            del self._once[key]


def _weight(record: RunRecord) -> int:
    """Return about how many bytes a record holds: the log counts the pieces of an answer, and not the whole of it."""
    weight = len(dump_json(record.details))
    if isinstance(record.ending, Finished):
        weight += len(record.ending.output) + sum(len(call.arguments) for call in record.ending.tool_calls)
    return weight


class _QueuedTurn(Turn):
    """A turn that waits for those before it in its session."""

    def __init__(self, turns: SessionTurns, memory: Memory, owner: str, session_id: str) -> None:
        self._turns = turns
        self._session = (owner, session_id)
        self._inner = MemoryTurn(memory, session_id)
        self._holds = False

    async def open(self, event: MemoryEvent | None, context_limit: int) -> Sequence[MemoryEvent]:
        await self._turns.take(self._session)
        self._holds = True
        return await self._inner.open(event, context_limit)

    async def append(self, events: Sequence[MemoryEvent]) -> None:
        await self._inner.append(events)

    async def close(self, events: Sequence[MemoryEvent], ending: Finished | Failed) -> None:
        await self._inner.close(events, ending)
        self.release()

    def release(self) -> None:
        """Let the next one begin; at the latest when the run has ended, however it did."""
        if self._holds:
            self._holds = False
            self._turns.release(self._session)
