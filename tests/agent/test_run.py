"""How much waits between a run and a reader who is slow."""

import anyio
import pytest

from pais_lite.agent.run import MAX_WAITING_CHARACTERS, MAX_WAITING_EVENTS, EventFeed
from pais_lite.events import TextDelta

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("text", "most"), [("x", MAX_WAITING_EVENTS), ("x" * 10_000, MAX_WAITING_CHARACTERS // 10_000 + 1)]
)
async def test_run_waits_for_a_reader_who_is_far_behind(text: str, most: int) -> None:
    feed = EventFeed()
    put = 0

    async def speak() -> None:
        nonlocal put
        while True:
            await feed.put(TextDelta(text))
            put += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(speak)
        await anyio.wait_all_tasks_blocked()
        assert put == most
        assert len(await feed.take()) == most
        await anyio.wait_all_tasks_blocked()
        assert put == 2 * most
        tasks.cancel_scope.cancel()


async def test_nobody_waits_for_a_reader_who_is_gone() -> None:
    feed = EventFeed()
    feed.discard()
    with anyio.fail_after(10):
        for _ in range(2 * MAX_WAITING_EVENTS):
            await feed.put(TextDelta("x" * MAX_WAITING_CHARACTERS))
