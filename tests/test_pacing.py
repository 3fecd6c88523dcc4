"""Work that many want to do at once is spread over turns of the event loop."""

import asyncio
import time
from functools import partial

import anyio
import pytest

from pais_lite.pacing import Spread, Turnstile

pytestmark = pytest.mark.anyio


async def pass_one(turnstile: Turnstile, name: int, passed: list[int]) -> None:
    if not turnstile.try_pass():
        await turnstile.wait_and_pass()
    passed.append(name)


async def test_first_ones_pass_at_once() -> None:
    turnstile = Turnstile(3)
    assert [turnstile.try_pass() for _ in range(5)] == [True, True, True, False, False]
    for _ in range(3):
        await asyncio.sleep(0)
    assert turnstile.try_pass()


async def test_no_more_pass_than_the_most_that_may() -> None:
    turnstile, passed = Turnstile(1, most=2), list[int]()
    waiting = [asyncio.create_task(pass_one(turnstile, name, passed)) for name in range(40)]
    most = before = 0
    with anyio.fail_after(10):
        while len(passed) < len(waiting):
            await asyncio.sleep(0)
            most, before = max(most, len(passed) - before), len(passed)
    assert most == 2
    await asyncio.gather(*waiting)


async def test_those_who_wait_pass_in_order() -> None:
    turnstile, passed = Turnstile(2), list[int]()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            for name in range(200):
                tasks.start_soon(pass_one, turnstile, name, passed)
    assert passed == list(range(200))


async def test_who_gives_up_waiting_is_passed_over() -> None:
    turnstile, passed = Turnstile(1), list[int]()
    waiting = [asyncio.create_task(pass_one(turnstile, name, passed)) for name in range(10)]
    await asyncio.sleep(0)
    for task in waiting[3::2]:
        task.cancel()
    with anyio.fail_after(10):
        await asyncio.gather(*waiting, return_exceptions=True)
    assert passed == [0, 1, 2, 4, 6, 8]


async def test_turns_stay_short_for_others_whatever_waits() -> None:
    """200 pieces of two milliseconds: who only wants some turns of the loop does not wait for all of them."""
    turnstile, done = Turnstile(8), 0

    async def work() -> None:
        nonlocal done
        if not turnstile.try_pass():
            await turnstile.wait_and_pass()
        ends = time.thread_time() + 0.002
        while time.thread_time() < ends:
            pass
        done += 1

    working = [asyncio.create_task(work()) for _ in range(200)]
    for _ in range(12):
        await asyncio.sleep(0)
    assert done < 100
    with anyio.fail_after(30):
        await asyncio.gather(*working)
    assert done == 200


async def test_one_callback_is_called_at_once_and_so_is_the_next_after_a_while() -> None:
    spread, called = Spread(), list[int]()
    for number in range(3):
        spread.call(partial(called.append, number))
        assert called == [*range(number + 1)]
        for _ in range(30):
            await asyncio.sleep(0)


@pytest.mark.parametrize("count", [50, 1000])
async def test_a_crowd_of_callbacks_is_called_in_order_with_turns_for_others_in_between(count: int) -> None:
    spread, called = Spread(), list[int]()
    for number in range(count):
        spread.call(partial(called.append, number))
    assert called == [0]
    turns = most = before = 0
    with anyio.fail_after(30):
        while len(called) < count:
            await asyncio.sleep(0)
            turns += 1
            most, before = max(most, len(called) - before), len(called)
    assert called == [*range(count)]
    assert most == max(1, count // 100)
    assert 12 * 49 < turns < 3000


def test_a_crowd_of_a_loop_that_has_ended_is_forgotten() -> None:
    spread, called = Spread(), list[int]()

    async def call(first: int) -> None:
        for number in range(first, first + 3):
            spread.call(partial(called.append, number))

    asyncio.run(call(0))
    asyncio.run(call(10))
    assert called == [0, 10]
