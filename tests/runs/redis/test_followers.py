"""Entries of a stream become the events of a run: each once, in order, and a gap is never passed over in silence."""

import anyio
import pytest

from pais_lite.errors import LogTruncated, MemoryUnavailable, PaisError
from pais_lite.events import Finished, RunEvent, TextDelta
from pais_lite.runs import RunRecord
from pais_lite.runs.base import NewRun
from pais_lite.runs.codec import encode_events
from pais_lite.runs.redis.followers import RemoteLog, StreamFollower
from tests.support.replicas import new_run

pytestmark = pytest.mark.anyio

END = Finished(output="0123")


def entry(first: int, *events: RunEvent) -> tuple[bytes, list[bytes]]:
    return f"{first + len(events)}-1".encode(), [b"events", encode_events(events)]


def record_of(new: NewRun) -> RunRecord:
    return RunRecord(
        run_id=new.run_id,
        owner="user",
        agent="a",
        session_id="s",
        protocol="chat",
        status="in_progress",
        created_at=new.created_at,
        updated_at=new.created_at,
        details={},
    )


def follower_of(log: RemoteLog, left: list[PaisError | None] | None = None) -> StreamFollower:
    return StreamFollower(
        record_of(new_run()), log, is_new=True, on_leave=lambda _, reason: (left or []).append(reason)
    )


async def test_entries_that_overlap_tell_each_event_once() -> None:
    log = RemoteLog("r", "user")
    follower = follower_of(log)
    texts = [TextDelta(str(number)) for number in range(4)]
    log.take([entry(0, *texts[:2])])
    assert await follower.next_events() == texts[:2]
    # What was written without word of it came again with what was said since.
    log.take([entry(1, *texts[1:], END)])
    assert await follower.next_events() == [*texts[2:], END]
    assert await follower.next_events() == ()
    assert await follower.ending() == END
    assert log.last_id == "5-1"


async def test_a_gap_is_an_error_and_the_end_is_still_told() -> None:
    log = RemoteLog("r", "user")
    follower = follower_of(log)
    log.take([entry(3, TextDelta("late"))])
    with pytest.raises(LogTruncated):
        await follower.next_events()
    assert follower.maybe_ending is None
    log.take([entry(4, END)])
    assert await follower.ending() == END
    with pytest.raises(LogTruncated):
        await follower.next_events()


async def test_followers_wait_for_what_comes_and_hear_that_nothing_will() -> None:
    log = RemoteLog("r", "user")
    follower, other = follower_of(log), follower_of(log)
    raised: list[PaisError] = []

    async def wait(follower: StreamFollower) -> None:
        with pytest.raises(MemoryUnavailable) as caught:
            await follower.ending()
        raised.append(caught.value)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, follower)
            tasks.start_soon(wait, other)
            await anyio.wait_all_tasks_blocked()
            log.fail(MemoryUnavailable("away"))
    assert [error.message for error in raised] == ["away", "away"]
    assert raised[0] is not raised[1]


async def test_a_follower_leaves_once() -> None:
    log = RemoteLog("r", "user")
    left: list[PaisError | None] = [None]
    follower = follower_of(log, left)
    reason = MemoryUnavailable("x")
    follower.leave(cancel_with=reason)
    follower.leave()
    assert left == [None, reason]
    assert log.followers == 0
    assert await follower.next_events() == ()
