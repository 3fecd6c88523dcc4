"""One alarm clock for many deadlines, since one cancel scope with a deadline each would cost as much as a command.

Setting a scope's deadline and taking it back is a sixth of a lone command's CPU time. asyncio has timers that belong to
no task, so there one timer per connection looks, whenever it goes off, whether anything is overdue, and is otherwise
left alone. Trio has no such thing, and its scopes carry their deadlines themselves.
"""

import asyncio
from collections.abc import Callable

import anyio

__all__ = ["Alarm"]


class Alarm:
    """Cancels the scope that it watches once `overdue_in` says zero seconds or less."""

    def __init__(self, overdue_in: Callable[[], float]) -> None:
        self._overdue_in = overdue_in
        self._loop = _maybe_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._scope: anyio.CancelScope | None = None

    def watch(self) -> anyio.CancelScope:
        """Return a scope to enter; it will be cancelled when something is overdue."""
        if self._loop is None:
            scope = anyio.CancelScope(deadline=anyio.current_time() + self._overdue_in())
        else:
            scope = anyio.CancelScope()
            if self._timer is None:
                self._timer = self._loop.call_later(self._overdue_in(), self._ring)
        self._scope = scope
        return scope

    def postpone(self) -> None:
        """Take note that `overdue_in` has grown."""
        if self._loop is None and self._scope is not None:
            self._scope.deadline = anyio.current_time() + self._overdue_in()

    def rest(self) -> None:
        """Watch nothing for now."""
        self._scope = None

    def reset(self) -> None:
        """Forget the timer: `overdue_in` has shrunk, or there is no further use for it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self._scope is None or self._loop is None:
            # The next watch sets the timer again.
            return
        remaining = self._overdue_in()
        if remaining <= 0:
            self._scope.cancel()
        else:
            self._timer = self._loop.call_later(remaining, self._ring)


def _maybe_loop() -> asyncio.AbstractEventLoop | None:
    """Return asyncio's loop if this is one of its tasks; under trio's guest mode there is a loop, but no task."""
    try:
        return asyncio.get_running_loop() if asyncio.current_task() is not None else None
    except RuntimeError:
        return None
