"""A run under way: a task of its own, and the events that it has said and nobody has taken yet.

The run is not the response. It lives in its own task, so it can be cancelled from anywhere, and go on when the one
who asked for it is gone. Pydantic AI needs asyncio, so this floor uses it directly: a task that no cancel scope of a
request reaches is exactly what is wanted here.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from pais_lite.errors import PaisError, RunCancelled, RunFailed, RunTimedOut
from pais_lite.events import Failed, Finished, RunEvent, TextDelta, ThinkingDelta

__all__ = ["EventFeed", "Run"]

_log = logging.getLogger("pais_lite.agent")

# Events that may wait for a slow reader before the run waits for him too. About one screen of tokens: enough that the
# two don't wait for each other all the time, little enough that a thousand slow readers are no burden.
MAX_WAITING_EVENTS = 256
# Tokens that came together are one event, which can be long.
MAX_WAITING_CHARACTERS = 64 * 1024


class EventFeed:
    """Hands events from one task to another. What waits together is taken together."""

    def __init__(self) -> None:
        self._waiting: deque[RunEvent] = deque()
        self._characters = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._discarding = False

    async def put(self, event: RunEvent) -> None:
        """Add an event; waits while the reader is far behind."""
        while (
            len(self._waiting) >= MAX_WAITING_EVENTS or self._characters >= MAX_WAITING_CHARACTERS
        ) and not self._discarding:
            self._room.clear()
            await self._room.wait()
        if not self._discarding:
            self._waiting.append(event)
            if isinstance(event, TextDelta | ThinkingDelta):
                self._characters += len(event.text)
            self._arrived.set()

    def close(self, ending: Finished | Failed) -> None:
        """Add the last event, which neither waits for a reader nor is ever discarded."""
        self._waiting.append(ending)
        self._arrived.set()

    async def take(self) -> list[RunEvent]:
        """Return all that wait, at least one event."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        events = list(self._waiting)
        self._waiting.clear()
        self._characters = 0
        self._room.set()
        return events

    def discard(self) -> None:
        """Forget what waits and what comes: nobody reads any more, and the run should not wait for it."""
        self._discarding = True
        self._waiting.clear()
        self._characters = 0
        self._room.set()


class Run:
    """One run of an agent, started; `timeout` seconds later it is cancelled.

    The last event of every run is a `Finished` or a `Failed`.
    """

    def __init__(self, work: Callable[["Run"], Awaitable[Finished | Failed]], *, timeout: float) -> None:
        self.feed = EventFeed()
        self.cancel_reason: PaisError | None = None
        self._ending: Finished | Failed | None = None
        self._ended = asyncio.Event()
        self._task = asyncio.create_task(self._live(work))
        self._task.add_done_callback(self._task_is_done)
        # A timer of the loop costs a tenth of what Pydantic AI's own run timeout does, and covers memory as well.
        too_late = RunTimedOut(f"the run did not finish within {timeout:g} seconds")
        self._timer = asyncio.get_running_loop().call_later(timeout, self.cancel, too_late)

    async def next_events(self) -> list[RunEvent]:
        """Return the events that have come since the last call, at least one. After the last there are no more."""
        return await self.feed.take()

    async def ending(self) -> Finished | Failed:
        """Wait for the end of the run and return its last event. Cancelling the waiter leaves the run alone."""
        await self._ended.wait()
        assert self._ending is not None
        return self._ending

    @property
    def maybe_ending(self) -> Finished | Failed | None:
        """The last event of the run, once it has ended."""
        return self._ending

    def cancel(self, reason: PaisError | None = None) -> None:
        """End the run and its call to the model at once; `reason` is what its last event will say."""
        if self.cancel_reason is None and not self._task.done():
            self.cancel_reason = reason or RunCancelled("the run was cancelled")
            self._task.cancel()

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the run has ended, whichever way."""
        self._task.add_done_callback(lambda _: callback())

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

    def _cancelled(self) -> Failed:
        return Failed(error=self.cancel_reason or RunCancelled("the run was cancelled"))

    def _end(self, ending: Finished | Failed) -> None:
        self._ending = ending
        self._timer.cancel()
        self.feed.close(ending)
        self._ended.set()
