"""`Runs`, the interface of the run store, and the values that it speaks in.

Every protocol starts, follows and ends runs here. A run belongs to an owner, as its session does: nobody else finds it.
What a protocol has to know of a run later, such as the input that it began with, goes along as `details`; the events
that it sends are a pure function of the record and the log, so that every reader, on every replica, live or late, is
sent the same ones under the same numbers.
"""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pais_lite.agent import RunRequest
from pais_lite.errors import Conflict, PaisError, RunCancelled
from pais_lite.events import Failed, Finished, RunEvent

__all__ = [
    "TERMINAL_STATUSES",
    "FollowedRun",
    "NewRun",
    "Once",
    "RunPage",
    "RunProtocol",
    "RunRecord",
    "RunStatus",
    "Runs",
    "key_reused",
    "new_run_id",
    "status_of",
]

RunProtocol = Literal["chat", "responses", "a2a"]
RunStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled", "incomplete"]
TERMINAL_STATUSES: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled", "incomplete"})


def new_run_id() -> str:
    """Return an id that no other run has."""
    return f"resp_{secrets.token_hex(16)}"


def status_of(ending: Finished | Failed) -> RunStatus:
    """Return the status of a run that ended so."""
    match ending:
        case Finished(finish_reason="length" | "content_filter"):
            return "incomplete"
        case Finished():
            return "completed"
        case Failed(error=RunCancelled()):
            return "cancelled"
        case Failed():
            return "failed"


def key_reused() -> Conflict:
    """Return the error for a key that came before, with another request."""
    return Conflict("this Idempotency-Key came before, with another request", code="idempotency_key_reused")


@dataclass(frozen=True, slots=True)
class Once:
    """An `Idempotency-Key`, and a digest of the request that it came with."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """A run that is to be started.

    `details` is JSON that the protocol wants back with the record. With `store` off, nobody finds the run once it has
    ended.
    """

    request: RunRequest
    protocol: Literal["chat", "responses", "a2a", "a2a_turn"]
    details: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = field(default_factory=new_run_id)
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    once: Once | None = None
    store: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What is known of a run, as it was when somebody asked. `ending` is there once the status is a final one."""

    run_id: str
    owner: str
    agent: str
    session_id: str
    protocol: str
    status: RunStatus
    created_at: datetime
    updated_at: datetime
    details: Mapping[str, Any]
    ending: Finished | Failed | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """One page of a listing, the latest updated first; `total` counts all that match."""

    records: Sequence[RunRecord]
    next_cursor: str | None
    total: int


class FollowedRun(ABC):
    """A run, and a place in its log. Whoever has one calls `leave` in the end."""

    record: RunRecord
    # Whether it was this call to `start` that began the run, rather than an earlier one with the same `Once`.
    is_new: bool = True

    @abstractmethod
    async def next_events(self) -> Sequence[RunEvent]:
        """Return all events that have not been read yet; waits for one. After the last one there are none.

        Raises:
            MemoryUnavailable: the log cannot be reached.
        """

    @abstractmethod
    async def ending(self) -> Finished | Failed:
        """Wait for the end of the run and return its last event. Raises `MemoryUnavailable`."""

    @property
    @abstractmethod
    def maybe_ending(self) -> Finished | Failed | None:
        """The last event of the run, where it has been seen already."""

    @abstractmethod
    def leave(self, *, cancel_with: PaisError | None = None) -> None:
        """Follow the run no longer. With `cancel_with`, it is cancelled for that reason unless somebody else follows."""


class Runs(ABC):
    """The runs of one agent, beyond the requests that started them.

    Every method raises `MemoryUnavailable` when the backend cannot be reached.
    """

    @abstractmethod
    async def start(
        self, new: NewRun, *, on_start: Callable[[], None], on_end: Callable[[], None]
    ) -> FollowedRun:
        """Start a run and follow it from its first event.

        Where `new.once` came before, with the same fingerprint, that run is followed from its first event instead.
        `on_start` is called before a run is started, and may raise so that it is not; nothing is left behind then.
        `on_end` is called when a run that was started here has ended.

        Raises:
            Conflict: `new.once` came before with another fingerprint.
        """

    @abstractmethod
    async def registered(self, run_id: str, owner: str) -> RunRecord:
        """Return the record of a run that was just started here, once everybody else can find it as well.

        Raises whatever kept the run from being registered.
        """

    @abstractmethod
    async def get(self, run_id: str, owner: str) -> RunRecord:
        """Return what is known of a run.

        Raises:
            NotFound: the owner has no such run, or it has been forgotten.
        """

    @abstractmethod
    async def follow(self, run_id: str, owner: str) -> FollowedRun:
        """Follow a run from its first event, on whichever replica it is, under way or over.

        Raises:
            NotFound: the owner has no such run, or it has been forgotten.
            LogTruncated: the run said more than is kept.
        """

    @abstractmethod
    async def cancel(self, run_id: str, owner: str) -> RunRecord:
        """End a run, wait for its end, and return its record; one that has ended stays as it is.

        Raises:
            NotFound: the owner has no such run, or it has been forgotten.
        """

    @abstractmethod
    async def delete(self, run_id: str, owner: str) -> bool:
        """Forget a run, which is cancelled if it is under way; return whether there was one."""

    @abstractmethod
    async def amend(self, run_id: str, owner: str, details: Mapping[str, Any]) -> RunRecord:
        """Add to the details of a run, taking the place of those with the same names, and return its record.

        Raises:
            NotFound: the owner has no such run, or it has been forgotten.
        """

    @abstractmethod
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
        """Return the owner's runs that match all that is given, the latest updated first.

        Raises:
            InvalidRequest: the cursor did not come from an earlier page.
        """

    @abstractmethod
    def open(self) -> None:
        """Begin what a store does on its own, such as to tell others that this replica is alive."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of connections, once the runs have ended."""
