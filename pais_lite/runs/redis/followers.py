"""Followers of runs that are not of this process: of what their streams hold, and of what still comes."""

import asyncio
from collections.abc import Callable, Sequence

from pais_lite.errors import LogTruncated, PaisError
from pais_lite.events import Failed, Finished, RunEvent
from pais_lite.resp import Reply
from pais_lite.runs.base import FollowedRun, RunRecord
from pais_lite.runs.codec import decode_events
from pais_lite.runs.redis.store import RunStore, text

__all__ = ["ENTRIES_AT_ONCE", "RemoteLog", "StoredFollower", "StreamFollower"]

# Entries of a stream that are read in one round trip.
ENTRIES_AT_ONCE = 64


class RemoteLog:
    """What has come of the log of a run that is elsewhere, for all who follow it here. Kept while anybody does."""

    def __init__(self, run_id: str, owner: str) -> None:
        self.run_id = run_id
        self.owner = owner
        self.last_id = "0-0"
        self.events: list[RunEvent] = []
        self.ending: Finished | Failed | None = None
        self.failure: PaisError | None = None
        # Whether events are gone before anybody here has read them.
        self.is_cut = False
        self.followers = 0
        self._news = asyncio.Event()
        self._looked_at: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.ending is not None or self.failure is not None

    def take(self, entries: Reply) -> None:
        """Add what the stream's next entries hold."""
        for name, fields in entries:
            if self.is_over:
                return
            self.last_id = text(name)
            if self.is_cut:
                # How it ends is still told.
                self.events = decode_events(fields[1])
            else:
                self.is_cut = not _add(self.events, self.last_id, fields)
            self._see_ending()
        self.wake()

    def idles(self) -> bool:
        """Tell whether nothing has come since this was asked before."""
        before, self._looked_at = self._looked_at, self.last_id
        return before == self.last_id

    def end(self, ending: Finished | Failed) -> None:
        """End the log with what is known of the run, where the stream is gone."""
        if not self.is_over:
            self.is_cut = True
            self.ending = ending
            self.wake()

    def fail(self, error: PaisError) -> None:
        """Have every follower raise that nothing more can be had."""
        self.failure = self.failure or error
        self.wake()

    def wake(self) -> None:
        """Have the followers look again."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self) -> None:
        """Wait until something has come."""
        await self._news.wait()

    def _see_ending(self) -> None:
        last = self.events[-1] if self.events else None
        if isinstance(last, Finished | Failed):
            self.ending = last


class StreamFollower(FollowedRun):
    """A run that is under way elsewhere, and a place in its log."""

    def __init__(
        self,
        record: RunRecord,
        log: RemoteLog,
        *,
        is_new: bool,
        on_leave: Callable[[RemoteLog, PaisError | None], None],
    ) -> None:
        self.record = record
        self.is_new = is_new
        self._log = log
        self._position = 0
        self._on_leave = on_leave
        self._has_left = False
        log.followers += 1

    async def next_events(self) -> Sequence[RunEvent]:
        """Return all events that have not been read yet; waits for one."""
        log = self._log
        while not self._has_left:
            if log.failure is not None:
                raise _again(log.failure)
            if log.is_cut:
                raise _truncated()
            if len(log.events) > self._position:
                found = log.events[self._position :]
                self._position = len(log.events)
                return found
            if log.ending is not None:
                break
            await log.news()
        return ()

    async def ending(self) -> Finished | Failed:
        """Wait for the end of the run and return its last event."""
        log = self._log
        while log.ending is None:
            if log.failure is not None:
                raise _again(log.failure)
            await log.news()
        return log.ending

    @property
    def maybe_ending(self) -> Finished | Failed | None:
        """The last event of the run, where it has come already."""
        return self._log.ending

    def leave(self, *, cancel_with: PaisError | None = None) -> None:
        """Follow the run no longer."""
        if self._has_left:
            return
        self._has_left = True
        self._log.followers -= 1
        self._log.wake()
        self._on_leave(self._log, cancel_with)


class StoredFollower(FollowedRun):
    """A run that has ended, and a place in its log, which is read when somebody asks for it."""

    def __init__(self, record: RunRecord, store: RunStore, *, is_new: bool) -> None:
        assert record.ending is not None
        self.record = record
        self.is_new = is_new
        self._ending = record.ending
        self._store = store
        self._events: list[RunEvent] = []
        self._position = 0
        self._last_id = "-"
        self._is_over = False

    async def next_events(self) -> Sequence[RunEvent]:
        """Return the next events; after the last one there are none."""
        while not self._is_over and len(self._events) == self._position:
            await self._read()
        found = self._events[self._position :]
        self._position = len(self._events)
        return found

    async def check(self) -> None:
        """Read the first of the log, so that one that is cut is known at once. Raises `LogTruncated`."""
        await self._read()

    async def ending(self) -> Finished | Failed:
        """Return the last event of the run."""
        return self._ending

    @property
    def maybe_ending(self) -> Finished | Failed | None:
        """The last event of the run."""
        return self._ending

    def leave(self, *, cancel_with: PaisError | None = None) -> None:
        """Nothing is to be done: a run that has ended cannot be cancelled."""

    async def _read(self) -> None:
        key = self._store.log_key(self.record.owner, self.record.run_id)
        first = self._last_id if self._last_id == "-" else f"({self._last_id}"
        [entries] = await self._store.pipeline([("XRANGE", key, first, "+", "COUNT", ENTRIES_AT_ONCE)])
        for name, fields in entries:
            self._last_id = text(name)
            if not _add(self._events, self._last_id, fields):
                raise _truncated()
        if self._events and isinstance(self._events[-1], Finished | Failed):
            self._is_over = True
        elif not entries:
            # The stream was dropped, by the server for want of memory or since somebody forgot the run meanwhile.
            raise _truncated()


def _add(events: list[RunEvent], entry_id: str, fields: Sequence[Reply]) -> bool:
    """Add what an entry holds; returns whether it goes on where the last one ended."""
    found = decode_events(fields[1])
    first = int(entry_id.partition("-")[0]) - len(found)
    if first > len(events):
        return False
    # An entry that was sent again in company of later ones begins with what is there already.
    events.extend(found[len(events) - first :])
    return True


def _truncated() -> LogTruncated:
    return LogTruncated("the beginning of this run's events is no longer kept")


def _again(error: PaisError) -> PaisError:
    """Return an error of one's own: tracebacks grow on an instance that several raise."""
    return type(error)(error.message)
