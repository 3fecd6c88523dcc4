"""How much is begun in one turn of the event loop, so that no turn is long for everybody else.

A request like `/health` takes a dozen turns, whatever else they hold. Work that comes in pieces of a millisecond or more,
for as many clients as there are, is therefore let in piece by piece. It does not take longer for that: the same work is
done in more and shorter turns.
"""

import asyncio
from collections import deque
from time import thread_time

__all__ = ["Turnstile"]


# A turn that works less than this is not worth splitting, and one that works more keeps others waiting. Work is CPU time:
# on a machine that others use, a turn can last long without anything in it.
_TURN_SECONDS = 0.005
_MOST_PER_TURN = 64


class Turnstile:
    """Lets some through in each turn of the event loop; the others wait for the next ones, in order of arrival.

    How many is found out from what the turns cost: one more after each short one, a quarter less after a long one.
    """

    def __init__(self, first_limit: int) -> None:
        self._limit = first_limit
        self._passed = 0  # in this turn
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_turning = False
        self._turn_began = 0.0

    def try_pass(self) -> bool:
        """Pass, and return true, if that is possible now."""
        if self._passed >= self._limit or self._waiting:
            return False
        self._passed += 1
        self._turn()
        return True

    async def wait_and_pass(self) -> None:
        """Wait until it is our turn, and pass."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._turn()
        await waiter

    def _turn(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            self._turn_began = thread_time()
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._is_turning = False
        if thread_time() - self._turn_began > _TURN_SECONDS:
            self._limit = max(1, self._limit * 3 // 4)
        elif self._limit < _MOST_PER_TURN:
            self._limit += 1
        self._passed = 0
        while self._waiting and self._passed < self._limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._passed += 1
        if self._passed or self._waiting:
            self._turn()
