"""Who reads what of a run's log, what the run waits for, and what is forgotten."""

from typing import Any

import anyio
import pytest

from pais_lite.agent.event_log import MAX_LAG_EVENTS, MAX_LAG_WEIGHT, MAX_LOG_WEIGHT, EventLog
from pais_lite.errors import LogTruncated
from pais_lite.events import Finished, Progress, RunEvent, TextDelta, ThinkingDelta

pytestmark = pytest.mark.anyio


async def speak(log: EventLog, text: str, times: int) -> None:
    for _ in range(times):
        await log.put(TextDelta(text))


def text_of(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("text", ["x", "x" * 10_000])
async def test_run_waits_for_a_reader_who_is_far_behind(text: str) -> None:
    log = EventLog()
    reader = log.reader()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(speak, log, text, 100_000)
        await anyio.wait_all_tasks_blocked()
        waiting = log.length
        assert waiting <= MAX_LAG_EVENTS
        assert log.weight <= MAX_LAG_WEIGHT + len(text) + 1000
        assert len(await reader.take()) == waiting
        await anyio.wait_all_tasks_blocked()
        assert log.length > waiting
        tasks.cancel_scope.cancel()


async def test_who_writes_to_a_log_that_is_held_says_no_more() -> None:
    log = EventLog()
    log.append(TextDelta("before"))
    log.hold()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(speak, log, "after", 1)
        await anyio.wait_all_tasks_blocked()
        # Nor does a reader who comes, reads and leaves change that; how it ended is told.
        reader = log.reader()
        assert await reader.take() == [TextDelta("before")]
        reader.leave()
        await anyio.wait_all_tasks_blocked()
        log.append(Finished(output="end"))
        assert log.length == 2
        tasks.cancel_scope.cancel()


async def test_run_keeps_pace_with_the_fastest_of_its_readers() -> None:
    log = EventLog()
    fast, slow = log.reader(), log.reader()
    read = 0
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak, log, "x" * 100, 5000)
            while read < 500_000:
                read += len(text_of(list(await fast.take())))
    assert slow.position == 0
    assert len(text_of(list(await slow.take()))) == 500_000


async def test_nobody_waits_for_a_reader_who_is_gone() -> None:
    log = EventLog()
    log.reader().leave()
    with anyio.fail_after(10):
        await speak(log, "x" * MAX_LAG_WEIGHT, 200)


async def test_run_that_waits_goes_on_when_its_reader_leaves() -> None:
    log = EventLog()
    reader = log.reader()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak, log, "x", 5000)
            await anyio.wait_all_tasks_blocked()
            reader.leave()


async def test_numbers_are_gapless_and_the_same_for_every_reader() -> None:
    log = EventLog()
    live = log.reader()
    seen: list[RunEvent] = []
    for number in range(500):
        log.append(TextDelta(f"{number} "))
        if number % 7 == 0:
            seen += await live.take()
    log.append(Finished(output="done"))
    seen += await live.take()
    assert await live.take() == ()
    late = list(await log.reader().take())
    assert late == seen
    assert len(late) == log.length == 501
    half = list(await log.reader(after=200).take())
    assert half == seen[200:]


async def test_text_that_nobody_has_seen_yet_is_joined() -> None:
    log = EventLog()
    for number in range(10_000):
        log.append(ThinkingDelta("t") if number < 1000 else TextDelta("x"))
    assert log.length < 200
    assert log.weight < 40_000
    events = list(await log.reader().take())
    assert len(text_of(events)) == 9000


async def test_what_was_seen_is_never_joined() -> None:
    log = EventLog()
    reader = log.reader()
    for _ in range(200):
        log.append(TextDelta("x"))
        await reader.take()
    assert log.length == 200


async def test_log_that_grows_too_long_forgets_its_beginning_and_says_so() -> None:
    log = EventLog()
    log.append(TextDelta("first"))
    for _ in range(30):
        log.append(TextDelta("x" * (MAX_LOG_WEIGHT // 20)))
    assert log.weight <= MAX_LOG_WEIGHT
    with pytest.raises(LogTruncated, match="no longer kept"):
        log.reader()
    assert log.reader(after=log.length).position == log.length


async def test_nothing_is_forgotten_that_somebody_still_reads() -> None:
    log = EventLog()
    keeper, client = log.reader(keeps=True), log.reader()
    piece = "x" * (MAX_LAG_WEIGHT - 1000)
    read = 0
    with anyio.move_on_after(5) as too_long:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(speak, log, piece, 200)
            # The client keeps up; the one who keeps the log does not, and the run waits for it in the end.
            while log.weight <= MAX_LOG_WEIGHT:
                read += len(text_of(list(await client.take())))
            await anyio.wait_all_tasks_blocked()
            assert log.weight < MAX_LOG_WEIGHT + 2 * MAX_LAG_WEIGHT
            kept = len(text_of(list(await keeper.take())))
            assert kept >= read
            tasks.cancel_scope.cancel()
    assert not too_long.cancelled_caught


async def test_what_tools_were_told_and_answered_has_its_weight() -> None:
    log = EventLog()
    step: dict[str, Any] = {
        "step": 1,
        "max_steps": 5,
        "action": "tool_call",
        "target": "find",
        "call_id": "c",
    }
    await log.put(Progress(**step, status="started", arguments={"text": "x" * 5000}))
    assert log.weight > 5000
    await log.put(Progress(**step, status="completed", result="x" * 7000))
    assert log.weight > 12000
    reader = log.reader()
    for _ in range(MAX_LOG_WEIGHT // 7000):
        await reader.take()
        await log.put(Progress(**step, status="running", delta="x" * 7000))
    reader.leave()
    await log.put(Finished(output=""))
    assert log.weight <= MAX_LOG_WEIGHT
