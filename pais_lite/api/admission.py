"""Which runs may begin: no more than so many at once, and none when the server is about to stop."""

import anyio

from pais_lite.errors import ServerDraining, TooManyRuns

__all__ = ["Admission", "InFlight"]


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


class Admission:
    """Lets runs begin, or refuses them."""

    def __init__(self, limit: int) -> None:
        self.draining = False
        self.runs = InFlight()
        self._limit = limit

    def enter(self) -> None:
        """Count one run more, or refuse it; `runs.leave` counts it out again.

        Raises:
            ServerDraining: the server takes no new runs.
            TooManyRuns: as many as may are under way.
        """
        if self.draining:
            raise ServerDraining("the server is shutting down; send the request again")
        if self.runs.count >= self._limit:
            raise TooManyRuns("as many requests as this server takes at once are under way; try again soon")
        self.runs.enter()
