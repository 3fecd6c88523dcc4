"""`Turn`: the place of a run in its session, where it may begin, what it writes down, and where it ends."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pais_lite.events import Failed, Finished
from pais_lite.memory import Memory, MemoryEvent

__all__ = ["MemoryTurn", "Turn"]


class Turn(ABC):
    """What a run needs of the session that it answers. Opened once, then closed once, or again where closing failed.

    It `is_exclusive` where no other run, on whichever replica, can write to the session between `open` and `close`.
    """

    is_exclusive: bool = False

    @abstractmethod
    async def open(self, event: MemoryEvent | None, context_limit: int) -> Sequence[MemoryEvent]:
        """Wait until the session is free for this run, store the user's turn, and return what was said before.

        That is the last `context_limit` conversation events; with 0 there are none. With `None` for the turn, the run
        goes on with one that is stored already, and all events of the session are returned.

        Raises:
            MemoryUnavailable: the turn could not be stored.
            Conflict: the session is busy, and `SESSION_POLICY` says not to wait.
        """

    @abstractmethod
    async def append(self, events: Sequence[MemoryEvent]) -> None:
        """Store events of the run as they happen. Raises `MemoryUnavailable`."""

    @abstractmethod
    async def close(self, events: Sequence[MemoryEvent], ending: Finished | Failed) -> None:
        """Store the last events and how the run ended, and let the next turn of the session begin.

        A run that never opened its turn closes it without events. Raises `MemoryUnavailable`; the run then fails, and
        closes once more with that ending.
        """


class MemoryTurn(Turn):
    """A turn that waits for nobody, and is kept in a memory alone."""

    def __init__(self, memory: Memory, session_id: str) -> None:
        self._memory = memory
        self._session_id = session_id

    async def open(self, event: MemoryEvent | None, context_limit: int) -> Sequence[MemoryEvent]:
        """Store the turn and return the conversation before it."""
        if event is None:
            return await self._memory.get_events(self._session_id)
        if context_limit:
            return await self._memory.open_turn(self._session_id, event, context_limit)
        await self._memory.append(self._session_id, [event])
        return ()

    async def append(self, events: Sequence[MemoryEvent]) -> None:
        """Store the events."""
        await self._memory.append(self._session_id, events)

    async def close(self, events: Sequence[MemoryEvent], ending: Finished | Failed) -> None:
        """Store the last events."""
        if events:
            await self._memory.append(self._session_id, events)
