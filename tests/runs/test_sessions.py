"""Whose turn it is in a session."""

import asyncio

import anyio
import pytest

from pais_lite.errors import Conflict
from pais_lite.runs.sessions import SessionTurns

pytestmark = pytest.mark.anyio

SESSION = ("user", "s")


async def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = SessionTurns("queue"), []

    async def answer(number: int) -> None:
        await turns.take(SESSION)
        order.append(f"{number} begins")
        await anyio.lowlevel.checkpoint()
        order.append(f"{number} ends")
        turns.release(SESSION)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(answer, number)
    assert order == [f"{number} {what}" for number in range(20) for what in ("begins", "ends")]


async def test_sessions_never_wait_for_each_other() -> None:
    turns = SessionTurns("queue")
    with anyio.fail_after(5):
        await turns.take(("user", "a"))
        await turns.take(("user", "b"))
        await turns.take(("other", "a"))


async def test_one_who_gives_up_waiting_is_passed_over() -> None:
    turns = SessionTurns("queue")
    got: list[str] = []
    await turns.take(SESSION)

    async def wait(name: str) -> None:
        await turns.take(SESSION)
        got.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            impatient = anyio.CancelScope()

            async def give_up() -> None:
                with impatient:
                    await wait("impatient")

            tasks.start_soon(give_up)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(wait, "patient")
            await anyio.wait_all_tasks_blocked()
            impatient.cancel()
            turns.release(SESSION)
    assert got == ["patient"]


async def test_handing_over_to_one_who_gives_up_in_that_moment_loses_nothing() -> None:
    turns = SessionTurns("queue")
    await turns.take(SESSION)
    with anyio.fail_after(5):
        waiting = asyncio.create_task(turns.take(SESSION))
        await anyio.wait_all_tasks_blocked()
        turns.release(SESSION)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await turns.take(SESSION)


async def test_reject_does_not_wait() -> None:
    turns = SessionTurns("reject")
    await turns.take(SESSION)
    with pytest.raises(Conflict, match="still being answered"):
        await turns.take(SESSION)
    turns.release(SESSION)
    await turns.take(SESSION)


async def test_allow_lets_everybody_in() -> None:
    turns = SessionTurns("allow")
    await turns.take(SESSION)
    await turns.take(SESSION)
    turns.release(SESSION)
