"""`RedisTurn`: the place of a run in its session, on whichever replicas the session's other runs are.

Opening is one script in one round trip: it takes the session, or a place in the line for it, makes the run known, stores
the user's turn and reads the context. Closing is another: it stores the last events, the rest of the log and the
ending, and hands the session on. Each of them, and each append between, asks first whether the run still is what it was:
one that was given up, since its replica gave no sign of life for too long, writes nothing any more.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Literal

import anyio

from pais_lite.agent import Run
from pais_lite.agent.turn import Turn
from pais_lite.errors import Conflict, MemoryUnavailable, PaisError
from pais_lite.events import Failed, Finished
from pais_lite.memory import MemoryEvent, RedisMemory
from pais_lite.memory.redis_commands import conversation_before, decode_events, unavailable
from pais_lite.resp import (
    Argument,
    Command,
    ConnectionFailed,
    OutcomeUnknown,
    Reply,
    RespError,
    ServerError,
)
from pais_lite.runs.base import NewRun, status_of
from pais_lite.runs.codec import decode_event, encode_event
from pais_lite.runs.redis.log_writer import LogWriter
from pais_lite.runs.redis.scripts import APPEND, CLOSE, LOG, OPEN
from pais_lite.runs.redis.store import RunStore, command_arguments, list_arguments
from pais_lite.runs.sessions import SessionPolicy, session_is_busy

__all__ = ["RedisTurn"]

_log = logging.getLogger("pais_lite.runs")

# Who waits for a session is told by mail that its turn has come. Mail may get lost with the server, so it also asks.
_ASK_SECONDS = 2.0

State = Literal["new", "registered", "closed"]


class RedisTurn(Turn):
    """The turn of one run; `run` and `writer` are there once that is started.

    `details` are those to register the run with. `settle_later` is given an end that could not be stored, and
    `on_lasting` is called when the run will not be over in a moment.
    """

    def __init__(
        self,
        store: RunStore,
        memory: RedisMemory,
        new: NewRun,
        policy: SessionPolicy,
        *,
        settle_later: "Callable[[RedisTurn, Sequence[MemoryEvent], Failed], None]",
        on_lasting: Callable[[], None],
    ) -> None:
        self.new = new
        self.details = dict(new.details)
        self.state: State = "new"
        # Whether the server may know of the run, though it did not say so.
        self.may_be_known = new.once is not None
        self.refusal: Exception | None = None
        self.has_registered = asyncio.Event()
        self.has_come = asyncio.Event()
        self._store = store
        self._memory = memory
        self._policy = policy
        # A run that has lost the session cannot write to it.
        self.is_exclusive = policy != "allow"
        self._settle_later = settle_later
        self._on_lasting = on_lasting
        owner, session = new.request.owner, new.request.session_id
        self._record = store.run_key(owner, new.run_id)
        self._turns = store.turns_key(owner, session)
        self._log_key = store.log_key(owner, new.run_id)
        commands = memory.commands
        self._session_keys = (
            commands.session_key(session),
            commands.events_key(session),
            commands.index_key,
        )
        self._once = "" if new.once is None else store.once_key(owner, new.once.key)
        self.claim = "" if new.once is None else f"{new.run_id} {new.once.fingerprint}"
        self._steps = 0
        self._last_contact = monotonic()
        self._run: Run | None = None
        self._writer: LogWriter | None = None

    def bind(self, run: Run) -> None:
        """Take the run whose turn this is."""
        self._run = run
        self._writer = LogWriter(run.log, self._send_log, on_begin=self._on_lasting)

    async def open(self, event: MemoryEvent | None, context_limit: int) -> Sequence[MemoryEvent]:
        """Wait until the session is free for this run, store the user's turn, and return what was said before."""
        session, commands = self.new.request.session_id, self._memory.commands
        if event is None:
            asked: Sequence[Command] = [("LRANGE", commands.events_key(session), 0, -1)]
        elif context_limit:
            asked = commands.open_turn(session, event, context_limit)
        else:
            asked = commands.append(session, [event])
        try:
            while (replies := await self._maybe_open(asked)) is None:
                self._on_lasting()
                with anyio.move_on_after(_ASK_SECONDS):
                    await self.has_come.wait()
                self.has_come.clear()
        except Exception as exc:
            self._register(exc)
            raise
        if event is None:
            return decode_events(replies[0])
        before = conversation_before(replies, event, context_limit) if context_limit else []
        if before is None:
            return await self._memory.read_before(session, event, context_limit)
        return before

    async def append(self, events: Sequence[MemoryEvent]) -> None:
        """Store events of the run as they happen."""
        self._steps += 1
        commands = self._memory.commands.append(self.new.request.session_id, events)
        arguments = (self.new.run_id, self._policy, self._steps, *command_arguments(commands))
        keys = (self._record, self._turns, *self._session_keys)
        reply = await self._store.until_it_works(
            lambda: self._store.run_script(APPEND, keys, *arguments),
            seconds=self._memory.retry_seconds,
            what=f"an event of session {self.new.request.session_id}",
        )
        self._raise_refusal(reply)

    async def close(self, events: Sequence[MemoryEvent], ending: Finished | Failed) -> None:
        """Store the last events and how the run ended, and let the next turn of the session begin."""
        if self.state == "closed":
            return
        if self.state == "new" and not self.may_be_known:
            # The server never heard of this run.
            self.finish()
            return
        if self.state == "new" and isinstance(self.refusal, MemoryUnavailable):
            assert isinstance(ending, Failed)
            self._settle_later(self, events, ending)
            return
        try:
            await self._store.until_it_works(
                lambda: self.try_to_close(events, ending),
                seconds=self._memory.retry_seconds,
                what=f"the end of run {self.new.run_id}",
            )
        except BaseException:
            # An answer that cannot be stored makes the run fail, and that will be tried in its turn.
            if isinstance(ending, Failed):
                self._settle_later(self, events, ending)
            raise

    async def try_to_close(self, events: Sequence[MemoryEvent], ending: Finished | Failed) -> None:
        """Close in one round trip, once. Raises `RespError`, and what `close` raises besides `MemoryUnavailable`."""
        if self.state == "closed":
            return
        assert self._writer is not None
        new = self.new
        has_begun = self._run is not None and self._run.has_begun
        commands = self._memory.commands.append(new.request.session_id, events) if events else []
        keys = (self._record, self._turns, self._log_key, *self._session_keys)
        arguments: list[Argument] = [new.request.owner, new.run_id, self._policy]
        # The same end may be told twice; another one does not take its place.
        arguments += ["answer" if isinstance(ending, Finished) else "error", status_of(ending)]
        arguments += [encode_event(ending), self._once, self.claim]
        # Where nothing has happened, the same request may well be tried again.
        arguments += [int(new.store), int(new.store and has_begun)]
        entries = self._writer.rest(ending)
        fields: list[Argument] = [] if self.state == "registered" else self._fields()
        while True:
            last = (*list_arguments(fields), *command_arguments(commands), *entries)
            reply = await self._store.run_script(CLOSE, keys, *arguments, *last)
            if reply[0] == b"missing":
                # A server that has forgotten everything is told again.
                fields = self._fields()
            elif reply[0] == b"taken" and isinstance(ending, Failed):
                # The session is somebody else's, the end of the run is not.
                commands = []
            else:
                break
        if reply[0] == b"over" and isinstance(ending, Failed):
            _log.warning("run %s had ended already when it failed: %r", new.run_id, ending.error)
        else:
            self._raise_refusal(reply)
        self.finish()

    def finish(self) -> None:
        """Have nothing left to do."""
        self.state = "closed"
        self.has_registered.set()
        if self._writer is not None:
            self._writer.stop()

    async def _maybe_open(self, asked: Sequence[Command]) -> Reply | None:
        """Ask for the session; returns the replies to what was asked, or `None` while it is somebody else's."""
        new = self.new
        arguments = (
            *(new.request.owner, new.run_id, self._policy, self._once, self.claim),
            *list_arguments(self._fields()),
            *command_arguments(asked),
        )
        keys = (self._record, self._turns, *self._session_keys)
        # Whoever is cancelled from here on has to take back what may be done.
        was_known, self.may_be_known = self.may_be_known, True
        try:
            # Not again by itself: nobody has seen anything of this run, and its sender had better know at once.
            state, *replies = await self._store.run_script(OPEN, keys, *arguments, idempotent=False)
        except RespError as exc:
            if isinstance(exc, ConnectionFailed) or (isinstance(exc, ServerError) and exc.is_refusal):
                self.may_be_known = was_known
            elif not isinstance(exc, OutcomeUnknown):
                raise unavailable() from exc
            if self.state == "registered" and monotonic() - self._last_contact < self._memory.retry_seconds:
                # It keeps its place in the line, and asks again. Should it have the session already without having heard
                # so, it gets it again.
                return None
            raise unavailable() from exc
        self._last_contact = monotonic()
        match state:
            case b"open":
                self._register()
                return replies
            case b"queued":
                self._register()
                return None
            case b"busy":
                raise session_is_busy()
            case b"claimed":
                raise Conflict("another request with this Idempotency-Key came before", code="conflict")
            case _:
                # Given up while it waited.
                raise _error_of(replies[0])

    def _register(self, refusal: Exception | None = None) -> None:
        if refusal is None:
            self.state = "registered"
        elif not self.has_registered.is_set():
            self.refusal = refusal
        self.has_registered.set()

    def _raise_refusal(self, reply: list[Reply]) -> None:
        match reply:
            case [b"over", bytes() as ending]:
                # Whoever follows the run elsewhere has been told so, and hears the same here.
                raise _error_of(ending)
            case [b"taken" | b"over", *_]:
                raise Conflict("another turn took the session over while this run was out of contact")
            case _:
                pass

    def _fields(self) -> list[Argument]:
        return self._store.fields(self.new, self.details)

    async def _send_log(self, entries: list[Argument]) -> bool:
        reply = await self._store.run_script(LOG, (self._record, self._log_key), *entries)
        return bool(reply[0] == b"done")


def _error_of(ending: bytes) -> PaisError:
    event = decode_event(ending)
    return event.error if isinstance(event, Failed) else Conflict("the run had ended already")
