"""Whose turn it is in a session: one run after another, in the order in which they came."""

import asyncio
from collections import deque
from typing import Literal

from pais_lite.errors import Conflict

__all__ = ["SessionPolicy", "SessionTurns", "session_is_busy"]

SessionPolicy = Literal["queue", "reject", "allow"]


def session_is_busy() -> Conflict:
    """Return the error for a turn that does not want to wait for the one before it."""
    return Conflict("another turn of this session is still being answered", code="session_busy")


class SessionTurns:
    """The sessions that somebody works on, each with those who wait for it. Different sessions never meet."""

    def __init__(self, policy: SessionPolicy) -> None:
        self._policy = policy
        # A session is in here while it is taken.
        self._waiting: dict[tuple[str, str], deque[asyncio.Future[None]]] = {}

    async def take(self, session: tuple[str, str]) -> None:
        """Wait until the session is free, and take it; `release` gives it back.

        Raises:
            Conflict: it is taken, and the policy is `reject`.
        """
        if self._policy == "allow":
            return
        line = self._waiting.get(session)
        if line is None:
            self._waiting[session] = deque()
            return
        if self._policy == "reject":
            raise session_is_busy()
        place = asyncio.get_running_loop().create_future()
        line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                # It was handed over in the moment in which this one gave up.
                self.release(session)
            elif place in line:
                line.remove(place)
            raise

    def release(self, session: tuple[str, str]) -> None:
        """Hand the session to whoever waits longest."""
        if self._policy == "allow":
            return
        line = self._waiting[session]
        while line:
            place = line.popleft()
            if not place.done():
                place.set_result(None)
                return
        del self._waiting[session]
