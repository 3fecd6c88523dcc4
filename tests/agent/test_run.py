"""Runs that are cancelled together: spread where others wait, at once where nobody does. And those out of time."""

import asyncio
from functools import partial

import anyio
import pytest

from pais_lite.agent.run import Run
from pais_lite.errors import RunCancelled, RunTimedOut, ServerDraining
from pais_lite.events import Failed, Finished
from pais_lite.pacing import Spread

pytestmark = pytest.mark.anyio

MANY = 20


async def wait_for_ever(ended: list[int], number: int, run: Run) -> Finished | Failed:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(number)
    raise AssertionError("nothing ends the wait but a cancel")


def many_runs(ended: list[int]) -> list[Run]:
    cancels = Spread()
    return [Run(partial(wait_for_ever, ended, number), timeout=60, cancels=cancels) for number in range(MANY)]


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_runs_that_are_cancelled_together_end_one_after_the_other() -> None:
    ended: list[int] = []
    runs = many_runs(ended)
    await turns(2)
    for run in runs:
        run.cancel()
    await turns(5)
    assert ended == [0]
    with anyio.fail_after(10):
        endings = [await run.ending() for run in runs]
    assert ended == [*range(MANY)]
    assert all(isinstance(ending, Failed) and isinstance(ending.error, RunCancelled) for ending in endings)


async def test_runs_end_at_once_where_that_is_asked_for_and_keep_their_first_reason() -> None:
    ended: list[int] = []
    runs = many_runs(ended)
    await turns(2)
    for run in runs[: MANY // 2]:
        run.cancel()
    for run in runs:
        run.cancel(ServerDraining("the server stops"), at_once=True)
    await turns(5)
    assert sorted(ended) == [*range(MANY)]
    with anyio.fail_after(10):
        endings = [await run.ending() for run in runs]
    # What waits for its turn to be cancelled has been.
    await turns(500)
    reasons = [type(ending.error) for ending in endings if isinstance(ending, Failed)]
    assert reasons == [RunCancelled] * (MANY // 2) + [ServerDraining] * (MANY // 2)


@pytest.mark.parametrize(
    ("begins", "seconds", "why"),
    [
        (True, None, "the run did not finish within 0.01 seconds"),
        (False, None, "the run's turn in its session did not come within 0.01 seconds"),
        (True, 0.0, "the run did not finish while its caller waited for it"),
        (False, 0.0, "the run did not finish while its caller waited for it"),
        (True, 60.0, "the run did not finish within 0.01 seconds"),
    ],
)
async def test_a_run_that_is_out_of_time_says_whose_time_it_was(
    begins: bool, seconds: float | None, why: str
) -> None:
    async def work(run: Run) -> Finished | Failed:
        if begins:
            run.begin()
        await asyncio.Event().wait()
        raise AssertionError("nothing ends the wait but a cancel")

    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    run = Run(work, timeout=0.01, deadline=deadline, cancels=Spread())
    with anyio.fail_after(10):
        ending = await run.ending()
    assert isinstance(ending, Failed)
    assert (type(ending.error), ending.error.message) == (RunTimedOut, why)
