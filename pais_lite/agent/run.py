"""A run under way: a task of its own, and the log of what it says.

The run is not the response. It lives in its own task, so it can be cancelled from anywhere, and go on when the one
who asked for it is gone. Pydantic AI needs asyncio, so this floor uses it directly: a task that no cancel scope of a
request reaches is exactly what is wanted here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from pais_lite.agent.event_log import EventLog
from pais_lite.errors import PaisError, RunCancelled, RunFailed, RunTimedOut
from pais_lite.events import Failed, Finished
from pais_lite.pacing import Spread

__all__ = ["Run"]

_log = logging.getLogger("pais_lite.agent")

# How long a run that was cancelled may go on to settle, in seconds: many times what a turn of the event loop takes.
_PATIENCE = 0.5


class Run:
    """One run of an agent, started. What it says is in `log`, of which the last event is a `Finished` or a `Failed`.

    It is cancelled when its session is not free within `timeout` seconds, and `timeout` seconds after it has begun its
    turn; the first moment that `deadline` names, by the clock of the event loop, ends it at any rate. Runs that may be
    cancelled together share their `cancels`.
    """

    def __init__(
        self,
        work: Callable[["Run"], Awaitable[Finished | Failed]],
        *,
        timeout: float,
        deadline: float | None = None,
        cancels: Spread,
    ) -> None:
        self.log = EventLog()
        self.cancel_reason: PaisError | None = None
        self.has_begun = False
        self.ended_at: datetime | None = None
        self._timeout = timeout
        self._latest = deadline
        self._ending: Finished | Failed | None = None
        self._ended = asyncio.Event()
        self._cancels = cancels
        self._is_settling = False
        self._is_stopping = False
        self._done_callbacks: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._live(work))
        self._task.add_done_callback(self._task_is_done)
        self._arm()

    @property
    def deadline(self) -> float:
        """The moment, by the clock of the event loop, at which the run has to be over, as far as it is known."""
        return self._timer.when()

    def begin(self) -> None:
        """Note that the run's turn in its session has come: from now on its time counts."""
        self.has_begun = True
        self._timer.cancel()
        self._arm()

    async def ending(self) -> Finished | Failed:
        """Wait for the end of the run and return its last event. Cancelling the waiter leaves the run alone."""
        await self._ended.wait()
        assert self._ending is not None
        return self._ending

    @property
    def maybe_ending(self) -> Finished | Failed | None:
        """The last event of the run, once it has ended."""
        return self._ending

    def cancel(self, reason: PaisError | None = None, *, at_once: bool = False) -> None:
        """End the run and its call to the model, at once if that is asked for or few others are ended together.

        `reason` is what its last event will say, if it does not finish before.
        """
        if self._task.done():
            return
        is_first = self.cancel_reason is None
        if is_first:
            self.cancel_reason = reason or RunCancelled("the run was cancelled")
            # A crowd that still worked while it waits would make the turns long that it waits for.
            self.log.hold()
        if at_once:
            self._stop()
        elif is_first:
            # Pydantic AI looks through all that a model has said, several times, when it is interrupted.
            self._cancels.call(self._stop)

    def _stop(self) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        if self._is_settling:
            self._loop.call_later(_PATIENCE, self._insist)
        else:
            self._task.cancel()

    @contextmanager
    def settling(self) -> Generator[None]:
        """Put off, though not for long, a `cancel` that comes while the block begins what it would leave behind.

        Pydantic AI starts a run in a task of its own, and loses that task when it is cancelled in the moment in which it
        has heard that the other is ready.
        """
        self._is_settling = True
        try:
            yield
        finally:
            self._is_settling = False
        if self._is_stopping:
            self._task.cancel()

    def _insist(self) -> None:
        if self._is_settling:
            self._is_settling = False
            self._task.cancel()

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the run has ended, whichever way."""
        # Kept here: what anyio says of a task when it ends a scope names the task's own callbacks, which costs more.
        if self._task.done():
            self._loop.call_soon(callback)
        else:
            self._done_callbacks.append(callback)

    def _arm(self) -> None:
        # A timer of the loop costs a tenth of what Pydantic AI's own run timeout does, and covers memory as well.
        end = self._loop.time() + self._timeout
        if self._latest is not None:
            end = min(end, self._latest)
        self._timer = self._loop.call_at(end, self._time_out)

    def _time_out(self) -> None:
        if self.deadline == self._latest:
            why = "the run did not finish while its caller waited for it"
        elif self.has_begun:
            why = f"the run did not finish within {self._timeout:g} seconds"
        else:
            why = f"the run's turn in its session did not come within {self._timeout:g} seconds"
        self.cancel(RunTimedOut(why))

    async def _live(self, work: Callable[["Run"], Awaitable[Finished | Failed]]) -> None:
        try:
            self._end(await work(self))
        except asyncio.CancelledError:
            # Only of a run whose event loop is closing; one that is cancelled makes an ending of that itself.
            self._end(self._cancelled())
            if self.cancel_reason is None:
                raise
        except Exception:  # noqa: BLE001 - whatever it was, somebody waits for it
            # Nobody awaits this task: an end without an event would leave everybody who listens waiting.
            _log.exception("the run ended without a last event")
            self._end(Failed(error=RunFailed("the agent failed while working on this request")))

    def _task_is_done(self, task: asyncio.Task[None]) -> None:
        if self._ending is None:
            # Cancelled before its first step, a task runs none of its code.
            self._end(self._cancelled())
        for callback in self._done_callbacks:
            self._loop.call_soon(callback)
        # They know of the run: it should be forgotten with its last reader, not when garbage is collected.
        self._done_callbacks.clear()

    def _cancelled(self) -> Failed:
        return Failed(error=self.cancel_reason or RunCancelled("the run was cancelled"))

    def _end(self, ending: Finished | Failed) -> None:
        if isinstance(ending, Failed):
            # The ending is remembered long after the run, whose request and history it would keep.
            ending.error.forget_origin()
        self._ending = ending
        self.ended_at = datetime.now(UTC)
        self._timer.cancel()
        self.log.append(ending)
        self._ended.set()
