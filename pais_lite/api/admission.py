"""Which runs may begin: no more than so many at once, and none when the server is about to stop."""

from collections import Counter

import anyio

from pais_lite.errors import ServerDraining, TooManyRuns

__all__ = ["Admission", "InFlight", "Readiness"]

# Who asks about readiness at all asks more often than this.
_PROBE_SECONDS = 30.0
# How long a refused owner is waited for: those who are told to come back in a second do so by then.
_CLAIM_SECONDS = 5.0


class InFlight:
    """Counts what is under way, and tells when nothing is."""

    def __init__(self) -> None:
        self.count = 0
        self._waiters: list[anyio.Event] = []

    def enter(self) -> None:
        """Count one more."""
        self.count += 1

    def leave(self) -> None:
        """Count one less."""
        self.count -= 1
        if not self.count:
            for waiter in self._waiters:
                waiter.set()
            self._waiters.clear()

    async def empty(self) -> None:
        """Wait until nothing is under way."""
        while self.count:
            waiter = anyio.Event()
            self._waiters.append(waiter)
            await waiter.wait()


class Readiness:
    """Remembers who asks whether this server is ready, so that it does not leave before they know that it is not."""

    def __init__(self) -> None:
        self._last_asked: float | None = None
        self._told = anyio.Event()

    def asked(self, *, draining: bool) -> None:
        """Note that somebody asked, and heard that the server drains or that it does not."""
        self._last_asked = anyio.current_time()
        if draining:
            self._told.set()

    async def everybody_told(self) -> None:
        """Wait until somebody heard that the server drains; where nobody has asked for long, there is no wait."""
        if self._last_asked is not None and anyio.current_time() - self._last_asked < _PROBE_SECONDS:
            await self._told.wait()


class Admission:
    """Lets runs begin, or refuses them.

    When all places are taken, the next that is free goes to those who were refused and have fewer runs than who asks:
    an owner who asks more often than all others does not keep them out.
    """

    def __init__(self, limit: int) -> None:
        self.draining = False
        self.runs = InFlight()
        self.readiness = Readiness()
        self._limit = limit
        self._runs_of: Counter[str] = Counter()
        self._refused_until: dict[str, float] = {}

    def begin_anew(self) -> None:
        """Let runs begin again after a drain; who asked or was refused before counts for nothing any more."""
        self.draining = False
        self.readiness = Readiness()
        self._refused_until.clear()

    def check(self, owner: str) -> None:
        """Raise what `enter` would raise now: there is no use in reading what is refused in the end."""
        if self.draining:
            raise ServerDraining("the server is shutting down; send the request again")
        free = self._limit - self.runs.count
        if free > 0 and not self._refused_until:
            return
        if free <= self._entitled(owner):
            self._refused_until[owner] = anyio.current_time() + _CLAIM_SECONDS
            raise TooManyRuns("as many requests as this server takes at once are under way; try again soon")

    def enter(self, owner: str) -> None:
        """Count one run more, or refuse it; `leave` counts it out again.

        Raises:
            ServerDraining: the server takes no new runs.
            TooManyRuns: as many as may are under way.
        """
        self.check(owner)
        self._refused_until.pop(owner, None)
        self._runs_of[owner] += 1
        self.runs.enter()

    def leave(self, owner: str) -> None:
        """Count one run less."""
        self._runs_of[owner] -= 1
        if not self._runs_of[owner]:
            del self._runs_of[owner]
        self.runs.leave()

    def _entitled(self, owner: str) -> int:
        """Return how many others were refused lately, and have fewer runs than this owner."""
        now, mine = anyio.current_time(), self._runs_of[owner]
        self._refused_until = {other: until for other, until in self._refused_until.items() if until > now}
        return sum(other != owner and self._runs_of[other] < mine for other in self._refused_until)
