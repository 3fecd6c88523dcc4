"""A run of this process that has not ended, and a follower of its log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pais_lite.agent import Run
from pais_lite.agent.event_log import EventLog
from pais_lite.errors import PaisError
from pais_lite.events import Failed, Finished, RunEvent
from pais_lite.runs.base import FollowedRun, NewRun, RunRecord, RunStatus, status_of

__all__ = ["LogFollower", "RunUnderWay"]


@dataclass(slots=True)
class RunUnderWay:
    """A run that has not ended."""

    new: NewRun
    run: Run
    details: dict[str, Any]
    updated_at: datetime

    @property
    def log(self) -> EventLog:
        """All that the run has said."""
        return self.run.log

    def record(self, agent: str) -> RunRecord:
        """Return what is known of the run now."""
        new, ending = self.new, self.run.maybe_ending
        status: RunStatus = "in_progress" if self.run.has_begun else "queued"
        return RunRecord(
            run_id=new.run_id,
            owner=new.request.owner,
            agent=agent,
            session_id=new.request.session_id,
            protocol=new.protocol,
            status=status if ending is None else status_of(ending),
            created_at=new.created_at,
            updated_at=self.updated_at,
            details=dict(self.details),
            ending=ending,
        )


class LogFollower(FollowedRun):
    """A run of this process, and a place in its log.

    `run` is there while it is under way. Where others than the readers of its log may follow it, `is_followed` tells.
    """

    def __init__(
        self,
        record: RunRecord,
        log: EventLog,
        run: Run | None,
        *,
        is_new: bool,
        is_followed: Callable[[], bool] = lambda: False,
    ) -> None:
        self.record = record
        self.is_new = is_new
        self._log = log
        self._run = run
        self._is_followed = is_followed
        # Whoever only wants to know how a run ended needs none of its log.
        self._reader = log.reader() if run is not None else None

    async def next_events(self) -> Sequence[RunEvent]:
        """Return all events that have not been read yet; waits for one."""
        self._reader = self._reader or self._log.reader()
        return await self._reader.take()

    async def ending(self) -> Finished | Failed:
        """Wait for the end of the run and return its last event."""
        if self._run is not None:
            return await self._run.ending()
        assert self.record.ending is not None
        return self.record.ending

    @property
    def maybe_ending(self) -> Finished | Failed | None:
        """The last event of the run, where it has come already."""
        return self.record.ending if self._run is None else self._run.maybe_ending

    def leave(self, *, cancel_with: PaisError | None = None) -> None:
        """Follow the run no longer."""
        if self._reader is not None:
            self._reader.leave()
        if cancel_with is None or self._run is None or self._log.is_followed or self._is_followed():
            return
        self._run.cancel(cancel_with)
