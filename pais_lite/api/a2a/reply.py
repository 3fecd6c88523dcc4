"""A task on its way to one client: as a stream of its events, or, when its run has ended, as one answer.

Whoever leaves leaves the task alone, unless asked for otherwise: it is there to be found again (A2A 1.0, section 3.5.2).
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal

import anyio

from pais_lite.api.a2a.envelope import RpcId, response_object
from pais_lite.api.a2a.events import TurnEvents, canceled_event
from pais_lite.api.a2a.store import Tasks
from pais_lite.api.a2a.tasks import Task, run_state, task_object
from pais_lite.api.a2a.versions import Version
from pais_lite.api.a2a.wire import event_result
from pais_lite.api.call import Call
from pais_lite.api.connected import abandon, while_connected
from pais_lite.api.observation import ObservedRun
from pais_lite.encoding import dump_json
from pais_lite.errors import LogTruncated, ServerDraining
from pais_lite.events import Failed, Finished, RunEvent
from pais_lite.http import sse
from pais_lite.runs import FollowedRun, Runs

__all__ = ["TaskReply"]


class TaskReply:
    """Follows a task for one client. Used once."""

    def __init__(
        self,
        call: Call,
        call_id: RpcId,
        version: Version,
        tasks: Tasks,
        runs: Runs,
        *,
        is_draining: Callable[[], bool],
        keepalive_seconds: float,
        on_disconnect: Literal["cancel", "continue"] = "continue",
        observed: ObservedRun | None = None,
    ) -> None:
        self._call = call
        self._call_id = call_id
        self._version = version
        self._tasks = tasks
        self._runs = runs
        self._is_draining = is_draining
        self._keepalive_seconds = keepalive_seconds
        self._on_disconnect = on_disconnect
        self._observed = observed
        self._run: FollowedRun | None = None
        self._ending: Finished | Failed | None = None

    async def ending(self, run: FollowedRun) -> Finished | Failed | None:
        """Wait for the end of a run; `None` where the client has left by then."""
        self._run = run
        await self._while_connected(self._wait(run))
        return None if self._call.request.has_disconnected else self._ending

    async def stream(
        self, task: Task, run: FollowedRun | None, *, history_length: int | None = None, beyond_input: bool
    ) -> None:
        """Send the task, and then what happens to it.

        `run` is the one that works on it now. The stream ends with the task, and, unless it is to go `beyond_input`, where
        the task waits for its client.
        """
        self._run = run
        shown = task_object(task, history_length=history_length)
        await self._while_connected(self._stream(task, shown, beyond_input=beyond_input))

    async def _while_connected(self, work: Coroutine[None, None, None]) -> None:
        try:
            await while_connected(self._call.request, work, self._abandon)
        finally:
            if self._run is not None:
                self._run.leave()

    def _abandon(self) -> None:
        if self._run is not None:
            abandon(self._run, self._on_disconnect)

    async def _wait(self, run: FollowedRun) -> None:
        self._ending = await run.ending()

    async def _stream(self, task: Task, shown: Mapping[str, Any], *, beyond_input: bool) -> None:
        reply = self._call.reply
        reply.headers.update(sse.HEADERS)
        await reply.start(200)
        await reply.write(self._frames([{"task": shown}]))
        while True:
            if self._run is not None:
                if await self._follow_turn(task, self._run, beyond_input=beyond_input):
                    return
                self._run.leave()
                self._run = None
                task = await self._tasks.find(task.id, task.owner)
            later = await self._next(task)
            if later is None:
                return
            if later.canceled_at is not None and len(later.turns) == len(task.turns):
                await reply.end(self._frames([canceled_event(later)]))
                return
            self._run = await self._runs.follow(later.turns[len(task.turns)].run_id, later.owner)
            task = later

    async def _follow_turn(self, task: Task, run: FollowedRun, *, beyond_input: bool) -> bool:
        """Send what one run says; return whether that was all of the stream."""
        reply, turn = self._call.reply, TurnEvents(task, run.record)
        while True:
            said: Sequence[RunEvent] = ()
            with anyio.move_on_after(self._keepalive_seconds):
                said = await _what_is_said(run)
            if self._call.request.has_disconnected:
                if self._observed is not None:
                    await run.ending()
                return True
            if self._observed is not None:
                self._observed.saw(said)
            if not said:
                await reply.write(sse.KEEPALIVE)
                continue
            events = [event for what in said for event in turn.of(what)]
            if not isinstance(said[-1], Finished | Failed):
                await reply.write(self._frames(events))
                continue
            now = await self._tasks.find(task.id, task.owner)
            record = next(record for record in now.turns if record.run_id == run.record.run_id)
            events.append(turn.ended(record))
            waits = run_state(record) == "TASK_STATE_INPUT_REQUIRED"
            # In 0.3, that event is `final`.
            if waits and beyond_input and self._version == "1.0":
                await reply.write(self._frames(events))
                return False
            await reply.end(self._frames(events))
            return True

    async def _next(self, task: Task) -> Task | None:
        """Wait until a task that waits for its client goes on or is canceled; `None` where this client has left.

        Raises:
            ServerDraining: the server is about to stop.
        """
        reply, loop = self._call.reply, asyncio.get_running_loop()
        silent_since = loop.time()
        while True:
            later = await self._tasks.changed(task)
            if self._call.request.has_disconnected:
                return None
            if len(later.turns) > len(task.turns) or later.canceled_at is not None:
                return later
            if self._is_draining():
                raise ServerDraining("the server is shutting down; subscribe again")
            if loop.time() - silent_since >= self._keepalive_seconds:
                await reply.write(sse.KEEPALIVE)
                silent_since = loop.time()

    def _frames(self, events: Sequence[Mapping[str, Any]]) -> bytes:
        return b"".join(
            sse.data_event(dump_json(response_object(self._call_id, event_result(event, self._version))))
            for event in events
        )


async def _what_is_said(run: FollowedRun) -> Sequence[RunEvent]:
    try:
        return await run.next_events()
    except LogTruncated:
        # What is no longer kept is told by the answer, which is whole.
        return [await run.ending()]
