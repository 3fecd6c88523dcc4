"""All that one run has said, in order, for any number of readers, each at a place of their own.

An event's place in the log is its number, from 0 and without gaps. Numbers are final once a reader has seen the event:
until then, pieces of text that pile up are joined, which keeps the log of a run that nobody reads small.
"""

import asyncio
from collections.abc import Sequence

from pais_lite.encoding import dump_json
from pais_lite.errors import LogTruncated
from pais_lite.events import Failed, Finished, Progress, RunEvent, TextDelta, ThinkingDelta, ToolCallDelta

__all__ = ["EventLog", "LogReader"]

# What the log of a run may weigh: some 40,000 tokens that were seen one by one, and far more of those that were joined.
MAX_LOG_WEIGHT = 4 * 1024 * 1024
# How far all readers may be behind before the run waits for one of them. Enough that the two don't wait for each other
# all the time, little enough that a thousand slow readers are no burden.
MAX_LAG_EVENTS = 256
MAX_LAG_WEIGHT = 64 * 1024
# Unseen events after which pieces of text are joined, and how long a joined piece may get.
_JOIN_AFTER = 64
_LONGEST_PIECE = 2048
# About what an event costs beside its text.
_EVENT_WEIGHT = 100


class EventLog:
    """The log of one run. `put` and `append` write it, `reader` reads it from anywhere."""

    def __init__(self) -> None:
        self._events: list[RunEvent] = []
        self._first = 0
        # Up to here, somebody has seen the events.
        self._seen = 0
        self._weight = 0
        self._unseen_weight = 0
        self._readers: list[LogReader] = []
        self._room: asyncio.Event | None = None
        self._is_held = False
        self.ended = False

    @property
    def length(self) -> int:
        """How many events there have been: the number of the next one."""
        return self._first + len(self._events)

    @property
    def first(self) -> int:
        """The number of the first event that is still there."""
        return self._first

    @property
    def weight(self) -> int:
        """About how many bytes the log holds."""
        return self._weight

    @property
    def is_followed(self) -> bool:
        """Whether anybody reads the log at the moment, beside those who only keep it."""
        return any(not reader.keeps for reader in self._readers)

    async def put(self, event: RunEvent) -> None:
        """Add an event; waits before that while everybody who reads is far behind, and for ever once it is held."""
        while self._is_held or self._is_too_far_ahead():
            self._room = self._room or asyncio.Event()
            self._room.clear()
            await self._room.wait()
        self.append(event)

    def hold(self) -> None:
        """Let whoever calls `put` wait until it is cancelled."""
        self._is_held = True

    def append(self, event: RunEvent) -> None:
        """Add an event at once. A `Finished` or a `Failed` ends the log."""
        text = event.text if isinstance(event, TextDelta | ThinkingDelta) else ""
        weight = _weight(event)
        if text and self.length - self._seen > _JOIN_AFTER and (joined := self._joined(event)) is not None:
            self._events[-1] = joined
            weight = len(text)
        else:
            self._events.append(event)
        self._weight += weight
        self._unseen_weight += weight
        self.ended = isinstance(event, Finished | Failed)
        if self._weight > MAX_LOG_WEIGHT:
            self._forget_oldest()
        for reader in self._readers:
            reader.wake()

    def reader(self, after: int = 0, *, keeps: bool = False) -> "LogReader":
        """Return a reader of the events from number `after` on. With `keeps`, it is no client that a run waits for.

        Raises:
            LogTruncated: the log was so long that these events are gone.
        """
        if after < self._first:
            raise LogTruncated("the beginning of this run's events is no longer kept")
        reader = LogReader(self, after, keeps=keeps)
        self._readers.append(reader)
        return reader

    def events(self, after: int) -> Sequence[RunEvent]:
        """Return the events that are there from number `after` on, and note that they were seen."""
        found = self._events[after - self._first :] if after > self._first else self._events[:]
        if self.length > self._seen:
            self._seen = self.length
            self._unseen_weight = 0
        self._make_room()
        return found

    def leave(self, reader: "LogReader") -> None:
        """Wait for this reader no longer."""
        if reader in self._readers:
            self._readers.remove(reader)
            self._make_room()

    def _joined(self, event: RunEvent) -> RunEvent | None:
        last = self._events[-1]
        for kind in (TextDelta, ThinkingDelta):
            if isinstance(last, kind) and isinstance(event, kind) and len(last.text) < _LONGEST_PIECE:
                return kind(last.text + event.text)
        return None

    def _is_too_far_ahead(self) -> bool:
        if self._weight > MAX_LOG_WEIGHT and self._readers and not self._forgettable():
            return True
        if self.length - self._seen < MAX_LAG_EVENTS and self._unseen_weight < MAX_LAG_WEIGHT:
            return False
        return self.is_followed

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set()

    def _forgettable(self) -> int:
        """Return how many of the oldest events nobody waits for."""
        return min((reader.position for reader in self._readers), default=self.length) - self._first

    def _forget_oldest(self) -> None:
        forgettable = self._forgettable()
        count = 0
        while count < forgettable and self._weight > MAX_LOG_WEIGHT * 3 // 4:
            event = self._events[count]
            self._weight -= _weight(event)
            count += 1
        del self._events[:count]
        self._first += count


def _weight(event: RunEvent) -> int:
    match event:
        case TextDelta(text=text) | ThinkingDelta(text=text) | ToolCallDelta(arguments=text):
            return len(text) + _EVENT_WEIGHT
        case Progress(delta=str() as text):
            return len(text) + _EVENT_WEIGHT
        case Progress(arguments=arguments, result=result) if arguments is not None or result is not None:
            return len(dump_json([arguments, result])) + _EVENT_WEIGHT
        case _:
            return _EVENT_WEIGHT


class LogReader:
    """One who reads a log, from `position` on."""

    def __init__(self, log: EventLog, position: int, *, keeps: bool) -> None:
        self.position = position
        self.keeps = keeps
        self._log = log
        self._waiter: asyncio.Future[None] | None = None
        self._has_left = False

    async def take(self) -> Sequence[RunEvent]:
        """Return all events that have not been read yet; waits for one.

        After the last one there are none, and none for a reader that has left.
        """
        log = self._log
        while log.length <= self.position or self._has_left:
            if log.ended or self._has_left:
                return ()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        events = log.events(self.position)
        self.position = log.length
        return events

    def wake(self) -> None:
        """Say that there is something to read."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def leave(self) -> None:
        """Read no more."""
        self._has_left = True
        self._log.leave(self)
        self.wake()
