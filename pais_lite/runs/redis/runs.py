"""`RedisRuns`: runs that any replica finds, follows and ends, beside the memory that they are kept in."""

import asyncio
import logging
import re
from collections.abc import Callable, Collection, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import anyio

from pais_lite.agent import Agent
from pais_lite.errors import MemoryUnavailable, NotFound, PaisError, RunCancelled, RunLost
from pais_lite.events import Failed, Finished
from pais_lite.memory import RedisMemory
from pais_lite.memory.redis_commands import translated, unavailable
from pais_lite.resp import Command
from pais_lite.runs.base import (
    TERMINAL_STATUSES,
    FollowedRun,
    NewRun,
    RunPage,
    RunRecord,
    Runs,
    RunStatus,
    key_reused,
)
from pais_lite.runs.codec import decode_event, encode_event
from pais_lite.runs.listing import RunFilter
from pais_lite.runs.redis.followers import RemoteLog, StoredFollower, StreamFollower
from pais_lite.runs.redis.pages import read_page
from pais_lite.runs.redis.replica import Mail, Replica
from pais_lite.runs.redis.scripts import AMEND, BEAT, CLAIM, FORGET, LOOK
from pais_lite.runs.redis.settling import Settling
from pais_lite.runs.redis.store import RunStore, text
from pais_lite.runs.redis.turn import RedisTurn
from pais_lite.runs.sessions import SessionPolicy
from pais_lite.runs.under_way import LogFollower, RunUnderWay

__all__ = ["RedisRuns"]

_log = logging.getLogger("pais_lite.runs")

# How long a key is kept for a request that has claimed it and not yet made its run known; that takes one round trip.
_CLAIM_SECONDS = 10
_CLAIM_PAUSE = 0.05
# How long to wait for the end of a run elsewhere that was cancelled: more than it takes to find its replica dead.
_CANCEL_SECONDS = 30.0
# How long leaving may take, for each of its steps, when the server is away.
_LAST_TRY_SECONDS = 3.0

# What may be asked for at all: anything else is no id of ours, and perhaps no text that has bytes.
_RUN_ID = re.compile(r"[\x21-\x7e]{1,200}")

_Place = tuple[str, str]


@dataclass(slots=True)
class _Shared(RunUnderWay):
    """A run of this process, of which others may know."""

    turn: RedisTurn
    # Replicas where somebody follows it.
    followed_on: set[str] = field(default_factory=set)


class RedisRuns(Runs):
    """Runs that are kept where the agent's memory, a `RedisMemory`, is kept.

    They are remembered for `ttl_minutes` after their end. `run_timeout` is how many seconds one may take, and as many it
    may wait for its session.
    """

    def __init__(
        self,
        agent: Agent,
        *,
        session_policy: SessionPolicy = "queue",
        ttl_minutes: float = 60,
        run_timeout: float = 300,
    ) -> None:
        memory = agent.memory
        if not isinstance(memory, RedisMemory):
            raise TypeError("runs are kept in Redis beside a RedisMemory")
        self._agent = agent
        self._memory = memory
        self._policy = session_policy
        self._store = RunStore(
            agent.name,
            new_client=memory.new_client,
            ttl_seconds=ttl_minutes * 60,
            longest_run_seconds=2 * run_timeout,
        )
        self._replica = Replica(
            self._store,
            new_client=memory.new_client,
            on_mail=self._read_mail,
            on_beat=self._beat,
        )
        self._under_way: dict[_Place, _Shared] = {}
        self._settling = Settling()
        self._errands: set[asyncio.Task[None]] = set()

    # ----------------------------------------------------------------------------------------------------------- starting

    async def start(
        self, new: NewRun, *, on_start: Callable[[], None], on_end: Callable[[], None]
    ) -> FollowedRun:
        """Start a run and follow it from its first event, or the one that came with the same key before."""
        owner = new.request.owner
        if new.once is not None and (earlier := await self._claim(new)) is not None:
            return earlier
        memory = self._memory if owner == self._memory.owner else self._memory.for_owner(owner)
        turn = RedisTurn(
            self._store,
            memory,
            new,
            self._policy,
            settle_later=self._settling.add,
            on_lasting=self._replica.begin,
        )
        try:
            on_start()
        except BaseException:
            if new.once is not None:
                await self._release_claim(turn)
            raise
        run = self._agent.start(new.request, turn)
        turn.bind(run)
        entry = _Shared(new, run, turn.details, new.created_at, turn)
        place = (owner, new.run_id)
        self._under_way[place] = entry

        def ended() -> None:
            self._under_way.pop(place, None)
            if turn.state != "closed" and place not in self._settling:
                # It ended before it could tell, such as one that was cancelled before its first step.
                ending = run.maybe_ending
                assert isinstance(ending, Failed)
                if turn.may_be_known:
                    self._settling.add(turn, (), ending)
                else:
                    turn.finish()
            on_end()

        run.add_done_callback(ended)
        return self._local_follower(entry)

    async def registered(self, run_id: str, owner: str) -> RunRecord:
        """Return the record of a run that was just started here, once everybody else can find it as well."""
        entry = self._under_way.get((owner, run_id))
        if entry is not None:
            await entry.turn.has_registered.wait()
            if entry.turn.refusal is not None:
                raise entry.turn.refusal
            return entry.record(self._agent.name)
        return await self.get(run_id, owner)

    async def _claim(self, new: NewRun) -> FollowedRun | None:
        """Take the key for a new run, or follow the run that has it."""
        assert new.once is not None
        owner, key = new.request.owner, self._store.once_key(new.request.owner, new.once.key)
        claim = f"{new.run_id} {new.once.fingerprint}"
        deadline = anyio.current_time() + 2 * _CLAIM_SECONDS
        while True:
            async with translated():
                held = text(await self._store.run_script(CLAIM, [key], claim, _CLAIM_SECONDS))
            if not held:
                return None
            run_id, _, fingerprint = held.partition(" ")
            if fingerprint != new.once.fingerprint:
                raise key_reused()
            try:
                return await self._attach(run_id, owner, is_new=False)
            except NotFound:
                # It is about to be made known, or its replica died before it was: then the key is free in a moment.
                if anyio.current_time() > deadline:
                    raise unavailable() from None
            await anyio.sleep(_CLAIM_PAUSE)

    async def _release_claim(self, turn: RedisTurn) -> None:
        """Let the next request with the same key begin a run of its own; at the latest, it may when the claim expires."""
        assert turn.new.once is not None
        key = self._store.once_key(turn.new.request.owner, turn.new.once.key)
        try:
            await self._store.pipeline([("DEL", key)])
        except MemoryUnavailable:
            _log.warning("an Idempotency-Key stays taken for some seconds")

    # ------------------------------------------------------------------------------------------------- finding and following

    async def get(self, run_id: str, owner: str) -> RunRecord:
        """Return what is known of a run."""
        place = (owner, run_id)
        if not _RUN_ID.fullmatch(run_id):
            raise NotFound("there is no such run")
        entry = self._under_way.get(place)
        if entry is not None and entry.turn.state == "new":
            return entry.record(self._agent.name)
        is_known_here = int(entry is not None or place in self._settling)
        async with translated():
            reply = await self._store.run_script(
                LOOK, [self._store.run_key(owner, run_id)], owner, run_id, is_known_here
            )
        record = self._store.maybe_record(run_id, owner, reply)
        if record is not None:
            return record
        if entry is not None and entry.run.maybe_ending is None:
            # A server that has forgotten everything hears of it again when it ends.
            return entry.record(self._agent.name)
        raise NotFound(f"there is no run {run_id!r}")

    async def follow(self, run_id: str, owner: str) -> FollowedRun:
        """Follow a run from its first event, on whichever replica it is, under way or over."""
        run = await self._attach(run_id, owner)
        if isinstance(run, StoredFollower):
            await run.check()
        return run

    async def _attach(self, run_id: str, owner: str, *, is_new: bool = True) -> FollowedRun:
        entry = self._under_way.get((owner, run_id))
        if entry is not None:
            return self._local_follower(entry, is_new=is_new)
        record = await self.get(run_id, owner)
        if record.ending is not None:
            return StoredFollower(record, self._store, is_new=is_new)
        log = self._replica.follow(run_id, owner)
        follower = StreamFollower(record, log, is_new=is_new, on_leave=self._left)
        try:
            await self._replica.look_again()
            await self._tell(run_id, owner, kind="follow")
        except BaseException:
            follower.leave()
            raise
        return follower

    def _local_follower(self, entry: _Shared, *, is_new: bool = True) -> FollowedRun:
        return LogFollower(
            entry.record(self._agent.name),
            entry.log,
            entry.run,
            is_new=is_new,
            is_followed=lambda: bool(entry.followed_on),
        )

    def _left(self, log: RemoteLog, cancel_with: PaisError | None) -> None:
        """Tell the run's replica that one who followed it here has left; nobody waits for that."""
        if log.followers or log.is_over:
            self._replica.drop(log)
            return
        self._replica.drop(log)
        words = {"kind": "leave"}
        if cancel_with is not None:
            words["reason"] = encode_event(Failed(error=cancel_with)).decode()
        self._do(self._tell(log.run_id, log.owner, **words))

    async def _tell(self, run_id: str, owner: str, **words: str) -> bool:
        """Mail the replica that a run is of; returns whether there is one."""
        [replica] = await self._store.pipeline([("HGET", self._store.run_key(owner, run_id), "replica")])
        if replica is None:
            return False
        mail = {**words, "owner": owner, "run": run_id, "from": self._store.replica}
        await self._store.mail(text(replica), **mail)
        return True

    # ------------------------------------------------------------------------------------------------------ ending runs

    async def cancel(self, run_id: str, owner: str) -> RunRecord:
        """End a run, wait for its end, and return its record; one that has ended stays as it is."""
        return await self._end(run_id, owner, RunCancelled("the run was cancelled"))

    async def delete(self, run_id: str, owner: str) -> bool:
        """Forget a run, which is cancelled if it is under way; return whether there was one."""
        try:
            await self._end(run_id, owner, RunCancelled("the run was deleted"))
        except NotFound:
            return False
        self._settling.drop((owner, run_id))
        keys = [self._store.run_key(owner, run_id), self._store.log_key(owner, run_id)]
        async with translated():
            await self._store.run_script(FORGET, keys, owner, run_id)
        return True

    async def _end(self, run_id: str, owner: str, reason: RunCancelled) -> RunRecord:
        entry = self._under_way.get((owner, run_id))
        if entry is not None:
            entry.run.cancel(reason)
            await entry.run.ending()
            known_here = entry.record(self._agent.name)
            try:
                return await self.get(run_id, owner)
            except NotFound:
                # It was not to be kept, or never got as far as to be known.
                return known_here
        record = await self.get(run_id, owner)
        if record.status in TERMINAL_STATUSES:
            return record
        follower = await self._attach(run_id, owner)
        try:
            words = encode_event(Failed(error=reason)).decode()
            await self._tell(run_id, owner, kind="cancel", reason=words)
            with anyio.fail_after(_CANCEL_SECONDS):
                await follower.ending()
        except TimeoutError as exc:
            raise unavailable() from exc
        finally:
            follower.leave()
        return await self.get(run_id, owner)

    # ------------------------------------------------------------------------------------------------ records and listings

    async def amend(self, run_id: str, owner: str, details: Mapping[str, Any]) -> RunRecord:
        """Add to the details of a run, and return its record."""
        entry = self._under_way.get((owner, run_id))
        if entry is not None:
            entry.details.update(details)
            if entry.turn.state == "new":
                # They go along when it is made known.
                await entry.turn.has_registered.wait()
        if not details or not _RUN_ID.fullmatch(run_id):
            return await self.get(run_id, owner)
        fields = self._store.detail_fields(details)
        async with translated():
            reply = await self._store.run_script(
                AMEND, [self._store.run_key(owner, run_id)], owner, run_id, *fields
            )
        record = self._store.maybe_record(run_id, owner, reply)
        if record is None:
            return await self.get(run_id, owner)
        return record

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
        wanted = RunFilter(
            protocol=protocol, session_id=session_id, statuses=statuses, updated_after=updated_after
        )
        return await read_page(self._store, owner, wanted, limit=limit, cursor=cursor)

    # --------------------------------------------------------------------------------------------- this replica and others

    def open(self) -> None:
        """Tell the others that this replica is alive, and read what they want of it."""
        self._replica.begin()

    async def aclose(self) -> None:
        """Store the ends that are still to be stored, leave the others, and close the connections."""
        if self._errands:
            await asyncio.wait(self._errands, timeout=_LAST_TRY_SECONDS)
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        await self._settling.aclose(within=_LAST_TRY_SECONDS)
        await self._replica.aclose()
        await self._say_goodbye()
        await self._store.aclose()
        self._settling.forget_all()

    async def _say_goodbye(self) -> None:
        """Be gone at once, rather than when the others miss a sign of life: what has no end yet gets one from them."""
        store, commands = self._store, list[Command]()
        commands += [("DEL", f"{store.prefix}replica:{store.replica}", store.mail_key(store.replica))]
        if not self._settling:
            commands += [("DEL", f"{store.prefix}owned:{store.replica}")]
            commands += [("ZREM", f"{store.prefix}replicas", store.replica)]
        try:
            with anyio.fail_after(_LAST_TRY_SECONDS):
                await store.pipeline(commands)
        except (MemoryUnavailable, TimeoutError):
            _log.warning("the other replicas could not be told that this one leaves")

    def _read_mail(self, mail: Mail) -> None:
        run_id, owner = mail.get("run", ""), mail.get("owner", "")
        if mail["kind"] == "turn":
            for entry in self._under_way.values():
                if entry.new.run_id == run_id:
                    entry.turn.has_come.set()
            return
        shared = self._under_way.get((owner, run_id))
        if shared is None:
            return
        match mail:
            case {"kind": "cancel", "reason": reason}:
                shared.run.cancel(_error_in(reason))
            case {"kind": "follow", "from": replica}:
                shared.followed_on.add(replica)
            case {"kind": "leave", "from": replica}:
                shared.followed_on.discard(replica)
                if "reason" in mail and not shared.followed_on and not shared.log.is_followed:
                    shared.run.cancel(_error_in(mail["reason"]))
            case _:
                pass

    async def _beat(self) -> None:
        """Say that this replica lives, and see whether its runs, and those that are followed here, still do."""
        store = self._store
        own = [entry for entry in self._under_way.values() if entry.turn.state == "registered"]
        logs = self._replica.logs
        keys = [store.run_key(entry.new.request.owner, entry.new.run_id) for entry in own]
        keys += [store.run_key(log.owner, log.run_id) for log in logs]
        reply = await store.run_script(BEAT, [f"{store.prefix}replicas"], *keys)
        states = [(text(status), ending) for status, ending in zip(reply[::2], reply[1::2], strict=True)]
        for entry, (status, ending) in zip(own, states, strict=False):
            if status == "failed" and isinstance(error := _error_in(text(ending)), RunLost):
                # The others took this replica for dead, and nothing that the run still does counts.
                entry.run.cancel(error)
        for log, (status, ending) in zip(logs, states[len(own) :], strict=True):
            # What the stream still holds comes first, and its last event is nearly always the end.
            if (status and status not in TERMINAL_STATUSES) or not log.idles():
                continue
            known = decode_event(ending) if status else Failed(error=RunCancelled("the run was deleted"))
            log.end(cast("Finished | Failed", known))

    def _do(self, errand: Any) -> None:
        async def run() -> None:
            try:
                await errand
            except PaisError as exc:
                _log.warning("another replica could not be told: %r", exc)

        task = asyncio.get_running_loop().create_task(run(), context=Context())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


def _error_in(ending: str) -> PaisError:
    event = decode_event(ending.encode())
    return event.error if isinstance(event, Failed) else RunCancelled("the run was cancelled")
