"""Writes the log of a run to its stream: now and then while the run lasts, and the rest with its end."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

from pais_lite.agent.event_log import MAX_LOG_WEIGHT, EventLog, LogReader
from pais_lite.events import Failed, Finished, RunEvent
from pais_lite.resp import Argument, RespError
from pais_lite.runs.codec import encode_events

__all__ = ["LogWriter"]

_log = logging.getLogger("pais_lite.runs")

# So often at most; and a run that is shorter than this is written once, with its end.
WRITE_SECONDS = 0.25
# Events in one entry of the stream: what a reader has to take at once.
_EVENTS_PER_ENTRY = 500
_LONGEST_PAUSE = 2.0


class LogWriter:
    """The log of one run on its way to the stream.

    `send` takes what the scripts take as entries, and tells whether the run still wants them. An entry may be sent
    again: it has the same events under the same id. `on_begin` is called when the run is not one of those that are over in
    a moment.
    """

    def __init__(
        self,
        log: EventLog,
        send: Callable[[list[Argument]], Awaitable[bool]],
        *,
        on_begin: Callable[[], None],
    ) -> None:
        self._events = log
        self._on_begin = on_begin
        self._send = send
        # The number of the first event that is not known to be stored, and the events from there that were taken.
        self._stored = 0
        self._taken: list[RunEvent] = []
        self._reader: LogReader | None = None
        self._task: asyncio.Task[None] | None = None
        # Entries that are stored: the number after their last event, and their size.
        self._entries: deque[tuple[int, int]] = deque()
        self._size = 0
        self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._begin)

    def stop(self) -> None:
        """Write no more on its own. What may be under way is sent again with the rest, which does no harm."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        if self._reader is not None:
            self._reader.leave()

    def rest(self, ending: Finished | Failed) -> list[Argument]:
        """Stop, and return all that is not known to be stored and the ending, as the scripts take it.

        May be asked again, with another ending, when that could not be stored.
        """
        self.stop()
        after = self._stored + len(self._taken)
        found = self._events.events(after)
        # Where the log was cut, it is not the event number `after` that comes first.
        missed = self._events.length - len(found) - after
        if missed:
            self._stored, self._taken = after + missed, []
        self._taken += found
        return self._entries_of([*self._taken, ending])

    def _begin(self) -> None:
        self._on_begin()
        self._reader = self._events.reader(self._events.first, keeps=True)
        self._stored = self._reader.position
        # Not in the context of whoever began the run: this is no part of its trace.
        self._task = asyncio.get_running_loop().create_task(self._write(self._reader), context=Context())

    async def _write(self, reader: LogReader) -> None:
        pause = WRITE_SECONDS
        while True:
            if not self._taken:
                self._taken = [*await reader.take()]
                if not self._taken:
                    return
            try:
                if not await self._send(self._entries_of(self._taken)):
                    return
            except RespError as exc:
                _log.warning("the log of a run could not be written yet: %r", exc)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._stored += len(self._taken)
                self._taken = []
                pause = WRITE_SECONDS
            await asyncio.sleep(pause)

    def _entries_of(self, events: Sequence[RunEvent]) -> list[Argument]:
        """Return events as entries, after the id of the oldest entry that is to be kept."""
        found: list[Argument] = []
        for place in range(0, len(events), _EVENTS_PER_ENTRY):
            batch = events[place : place + _EVENTS_PER_ENTRY]
            number, data = self._stored + place + len(batch), encode_events(batch)
            found += [f"{number}-1", data]
            if not self._entries or number > self._entries[-1][0]:
                self._entries.append((number, len(data)))
                self._size += len(data)
        oldest = ""
        while self._size > MAX_LOG_WEIGHT and len(self._entries) > 1:
            self._size -= self._entries.popleft()[1]
            oldest = f"{self._entries[0][0]}-1"
        return [oldest, len(found) // 2, *found]
