"""What becomes of a run whose client leaves, in whichever protocol it is told."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Literal

from pais_lite.errors import RunCancelled
from pais_lite.http import ClientDisconnected, Request
from pais_lite.runs import FollowedRun

__all__ = ["abandon", "while_connected"]


async def while_connected(
    request: Request, work: Coroutine[None, None, None], on_leave: Callable[[], None]
) -> None:
    """Do `work` to its end; `on_leave` is called in the moment in which the client leaves, if it does before."""

    async def watch() -> None:
        await request.disconnected()
        on_leave()

    # A bare task: it costs a request a quarter of what a task group does.
    watcher = asyncio.create_task(watch())
    try:
        await work
    except (asyncio.CancelledError, ClientDisconnected):
        # Some hosts cancel the request instead of sending a disconnect; others raise when we send.
        on_leave()
        raise
    finally:
        watcher.cancel()


def abandon(run: FollowedRun, on_disconnect: Literal["cancel", "continue"]) -> None:
    """Leave a run whose client has left."""
    gone = RunCancelled("the client left before the run had its answer")
    run.leave(cancel_with=gone if on_disconnect == "cancel" else None)
