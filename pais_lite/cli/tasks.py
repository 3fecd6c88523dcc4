"""Tasks that let go of what they worked on once they are cancelled.

Until somebody asks how it ended, a cancelled task keeps its `CancelledError`, and that the frames in which it was raised.
Pydantic AI 2.68 cancels the tasks of an interrupted stream and never asks, and those frames hold the task: each run whose
client has left would stay, with its request and all that was said, until garbage is collected. That is seldom, and takes
several times, since generators are among it that have to be closed first.
"""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import suppress
from typing import Any

__all__ = ["new_task"]


def new_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    **options: Any,
) -> asyncio.Task[Any]:
    """Return a task that does `work`; for `set_task_factory` of an event loop."""
    return _Task(work, loop=loop, **options)


class _Task(asyncio.Task[Any]):
    def cancel(self, msg: Any | None = None) -> bool:
        is_first = not self.cancelling()
        is_to_end = super().cancel(msg)
        if is_first and is_to_end:
            self.add_done_callback(_ask_later)
        return is_to_end


def _ask_later(task: asyncio.Task[Any]) -> None:
    # Those who wait for it are told first, and of the error that was raised: anyio knows its own by what they say.
    task.get_loop().call_soon(_ask, task)


def _ask(task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        # Asked once, it forgets.
        with suppress(asyncio.CancelledError):
            task.exception()
