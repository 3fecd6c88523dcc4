"""A run under way: what is said of one that was out of time."""

import asyncio

import pytest

from pais_lite.agent import Run
from pais_lite.errors import RunCancelled, RunTimedOut
from pais_lite.events import Failed, Finished

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Runs need asyncio, as Pydantic AI does."""
    return "asyncio"


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
async def test_out_of_time(begins: bool, seconds: float | None, why: str) -> None:
    async def work(run: Run) -> Finished | Failed:
        if begins:
            run.begin()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return Failed(error=run.cancel_reason or RunCancelled("nobody said why"))
        raise AssertionError

    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    run = Run(work, timeout=0.01, deadline=deadline)
    async with asyncio.timeout(10):
        ending = await run.ending()

    assert isinstance(ending, Failed)
    assert (type(ending.error), ending.error.message) == (RunTimedOut, why)
