"""Cancelled tasks let go of what they worked on, and do not wait for garbage to be collected."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from pais_lite.cli.tasks import new_task
from tests.support.sockets import until

pytestmark = pytest.mark.anyio


class Held:
    """What a task works on."""

    task: asyncio.Task[None]


async def _hold(held: Held) -> None:
    await asyncio.get_running_loop().create_future()


@pytest.fixture(autouse=True)
async def without_collections() -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(new_task)
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    loop.set_task_factory(None)


async def test_a_cancelled_task_lets_go_of_its_frames() -> None:
    held = Held()
    held.task = asyncio.create_task(_hold(held))
    gone = weakref.ref(held)
    await asyncio.sleep(0)
    held.task.cancel()
    await asyncio.wait([held.task])
    del held
    await until(lambda: gone() is None)


async def test_who_waits_for_a_cancelled_task_hears_of_it() -> None:
    task = asyncio.create_task(_hold(Held()), name="waits")
    await asyncio.sleep(0)
    assert task.cancel("for a reason")
    assert task.cancel("for another")
    with pytest.raises(asyncio.CancelledError, match="for a reason"):
        await task
    assert (task.cancelled(), task.get_name()) == (True, "waits")
    assert not task.cancel()


async def test_a_task_that_survives_its_cancel_gives_its_result() -> None:
    async def work() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "done"
        return "never"

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "done"
