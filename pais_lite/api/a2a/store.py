"""The tasks of one agent: found, listed, continued, canceled and waited for, on top of its runs.

What is special to tasks lives in the details of their first run: `turns`, the ids of the runs that went on with it, and
`canceled_at`. So any replica that finds the runs finds the tasks.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from pais_lite.api.a2a.errors import cannot_cancel, invalid_params, task_not_found
from pais_lite.api.a2a.tasks import Task
from pais_lite.errors import NotFound
from pais_lite.runs import RunRecord, Runs

__all__ = ["FIRST_TURN", "LATER_TURN", "ListRequest", "TaskPage", "Tasks"]

# The protocols of runs that begin a task, and of those that go on with one.
FIRST_TURN: Literal["a2a"] = "a2a"
LATER_TURN: Literal["a2a_turn"] = "a2a_turn"
# A task that waits for its client may go on by another replica, which nobody here hears of at once.
_LOOK_SECONDS = 1.0
_SCAN_PAGE = 100
_Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """Which tasks are wanted: those that match all that is given."""

    page_size: int
    context_id: str | None = None
    state: str | None = None
    changed_after: datetime | None = None
    page_token: str | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some tasks, the latest changed first. `total` counts all that match; an empty `next_token` says that these are the last."""

    tasks: Sequence[Task]
    next_token: str
    total: int


class Tasks:
    """The tasks of one agent. Every method raises `MemoryUnavailable` when the runs cannot be reached."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._waiters: dict[_Place, set[asyncio.Future[None]]] = {}

    async def find(self, task_id: str, owner: str) -> Task:
        """Return a task.

        Raises:
            RpcError: the owner has no such task, or it has been forgotten.
        """
        try:
            head = await self._runs.get(task_id, owner)
            if head.protocol != FIRST_TURN:
                raise task_not_found()
            return await self._from_head(head)
        except NotFound as exc:
            raise task_not_found() from exc

    async def list(self, owner: str, asked: ListRequest) -> TaskPage:
        """Return a page of the owner's tasks.

        Raises:
            RpcError: the token did not come from an earlier page.
        """
        after = None if asked.page_token is None else _read_token(asked.page_token)
        # The state of a task that went on is that of its last run: so all are looked at before any is left out.
        tasks = [task async for task in self._all(owner, asked.context_id)]
        found = [
            task
            for task in tasks
            if (asked.state is None or task.state == asked.state)
            and (asked.changed_after is None or task.changed_at >= asked.changed_after)
        ]
        found.sort(key=_position, reverse=True)
        rest = found if after is None else [task for task in found if _position(task) < after]
        page = rest[: asked.page_size]
        token = _token(page[-1]) if len(rest) > len(page) else ""
        return TaskPage(page, token, len(found))

    async def _all(self, owner: str, context_id: str | None) -> AsyncIterator[Task]:
        cursor: str | None = None
        while True:
            page = await self._runs.list(
                owner, limit=_SCAN_PAGE, cursor=cursor, protocol=FIRST_TURN, session_id=context_id
            )
            for head in page.records:
                try:
                    yield await self._from_head(head)
                except NotFound:
                    continue
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _from_head(self, head: RunRecord) -> Task:
        later = [await self._runs.get(run_id, head.owner) for run_id in head.details.get("turns", ())]
        canceled = head.details.get("canceled_at")
        return Task(
            tuple(_noted(record) for record in (head, *later)),
            None if canceled is None else datetime.fromisoformat(canceled),
        )

    async def went_on(self, task: Task, run_id: str) -> Task:
        """Note that a task goes on with a run, and return it as it is then; whoever waits for it hears of it."""
        turns = [*(record.run_id for record in task.turns[1:])]
        if run_id not in turns:
            await self._runs.amend(task.id, task.owner, {"turns": [*turns, run_id]})
        task = await self.find(task.id, task.owner)
        if task.canceled_at is not None:
            # Somebody canceled it in the same moment.
            await self._runs.cancel(run_id, task.owner)
            task = await self.find(task.id, task.owner)
        self._wake(task)
        return task

    async def cancel(self, task: Task) -> Task:
        """End a task, and return it as it is then.

        Raises:
            RpcError: it has ended already.
        """
        if not task.has_ended and task.last.ending is None:
            # It may still end in its own way, or come to wait for its client, before it is told to stop.
            task = task.with_last(await self._runs.cancel(task.last.run_id, task.owner))
            if task.state == "TASK_STATE_CANCELED":
                return await self.find(task.id, task.owner)
        if task.has_ended:
            raise cannot_cancel(task.state.removeprefix("TASK_STATE_").lower())
        await self._runs.amend(task.id, task.owner, {"canceled_at": datetime.now(UTC).isoformat()})
        task = await self.find(task.id, task.owner)
        if task.last.ending is None:
            await self._runs.cancel(task.last.run_id, task.owner)
            task = await self.find(task.id, task.owner)
        self._wake(task)
        return task

    async def changed(self, task: Task) -> Task:
        """Return a task that waits for its client as it is a moment later, at once when it goes on or is canceled."""
        place = (task.owner, task.id)
        waiter = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(place, set())
        waiters.add(waiter)
        try:
            now = await self.find(task.id, task.owner)
            if len(now.turns) > len(task.turns) or now.has_ended:
                return now
            await asyncio.wait([waiter], timeout=_LOOK_SECONDS)
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(place, None)
        return await self.find(task.id, task.owner)

    def _wake(self, task: Task) -> None:
        for waiter in self._waiters.get((task.owner, task.id), ()):
            if not waiter.done():
                waiter.set_result(None)


def _noted(record: RunRecord) -> RunRecord:
    """Return a record with the time of its end, which a store may note only a moment after others hear of that end."""
    if record.ending is not None and record.updated_at == record.created_at:
        return replace(record, updated_at=datetime.now(UTC))
    return record


def _position(task: Task) -> tuple[datetime, str]:
    return task.changed_at, task.id


def _token(task: Task) -> str:
    return base64.urlsafe_b64encode(f"{task.changed_at.isoformat()}~{task.id}".encode()).decode()


def _read_token(token: str) -> tuple[datetime, str]:
    try:
        moment, tilde, task_id = (
            base64.b64decode(token, altchars=b"-_", validate=True).decode().partition("~")
        )
        if not tilde:
            raise ValueError(token)
        return datetime.fromisoformat(moment).astimezone(UTC), task_id
    except (ValueError, OverflowError, binascii.Error) as exc:
        raise invalid_params("is not one of this listing's", "pageToken") from exc
