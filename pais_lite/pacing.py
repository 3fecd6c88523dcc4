"""How much is done in one turn of the event loop, so that no turn is long for everybody else.

A request like `/health` takes a dozen turns, whatever else they hold. Work that comes in pieces of a millisecond or more,
for as many clients as there are, is therefore let in piece by piece. It does not take longer for that: the same work is
done in more and shorter turns.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import thread_time

__all__ = ["Spread", "Turnstile"]

# A turn that works less than this is not worth splitting, and one that works more keeps others waiting. Work is CPU time:
# on a machine that others use, a turn can last long without anything in it.
_TURN_SECONDS = 0.005
_MOST_PER_TURN = 64
# What a request like `/health` takes from its first byte to its last, and a run that is cancelled to its end.
_TURNS_BETWEEN = 24
# In how many portions a crowd is let go.
_PORTIONS = 100


class Turnstile:
    """Lets some through in each turn of the event loop; the others wait for the next ones, in order of arrival.

    How many is found out from what the turns cost: one more after each short one, up to `most`, a quarter less after a
    long one.
    """

    def __init__(self, first_limit: int, *, most: int = _MOST_PER_TURN) -> None:
        self._limit = first_limit
        self._most = most
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
        elif self._limit < self._most:
            self._limit += 1
        self._passed = 0
        while self._waiting and self._passed < self._limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                self._passed += 1
        if self._passed or self._waiting:
            self._turn()


class Spread:
    """Calls one callback at once; many that come together, a hundredth of them each two dozen turns.

    For what takes tens of milliseconds that nobody can split, over turns that nobody can tell: in between, others get
    through. How long a crowd takes depends on how long its turns are, and little on how many they are.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._portion = 1
        # The loop in which turns are counted, if they are.
        self._resting_in: asyncio.AbstractEventLoop | None = None

    def call(self, callback: Callable[[], object]) -> None:
        """Call `callback`, now or after those that came before."""
        loop = asyncio.get_running_loop()
        if self._resting_in is loop:
            self._waiting.append(callback)
            self._portion = max(self._portion, -(-len(self._waiting) // _PORTIONS))
        else:
            # What waited in another loop has ended with it.
            self._waiting.clear()
            self._rest(loop, _TURNS_BETWEEN)
            callback()

    def _rest(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        self._resting_in = loop
        loop.call_soon(self._next_turn, loop, turns - 1)

    def _next_turn(self, loop: asyncio.AbstractEventLoop, turns_left: int) -> None:
        if turns_left:
            self._rest(loop, turns_left)
        elif self._waiting:
            self._rest(loop, _TURNS_BETWEEN)
            for _ in range(min(self._portion, len(self._waiting))):
                self._waiting.popleft()()
        else:
            self._resting_in = None
            self._portion = 1
