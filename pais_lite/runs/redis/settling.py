"""Ends of runs that could not be stored when they came, and are tried again while the process lives."""

import asyncio
import logging
from collections.abc import Sequence
from contextvars import Context
from dataclasses import dataclass
from time import monotonic

import anyio

from pais_lite.events import Failed
from pais_lite.memory import MemoryEvent
from pais_lite.resp import RespError
from pais_lite.runs.redis.turn import RedisTurn

__all__ = ["Settling"]

_log = logging.getLogger("pais_lite.runs")

# How many are kept, and how long each is tried again.
_MOST = 1000
_PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _End:
    turn: RedisTurn
    events: Sequence[MemoryEvent]
    ending: Failed
    deadline: float


class Settling:
    """The ends that are still to be stored, by owner and id of the run."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, str], _End] = {}
        self._task: asyncio.Task[None] | None = None

    def __contains__(self, place: tuple[str, str]) -> bool:
        return place in self._ends

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, turn: RedisTurn, events: Sequence[MemoryEvent], ending: Failed) -> None:
        """Try again later, again and again."""
        place = (turn.new.request.owner, turn.new.run_id)
        if len(self._ends) >= _MOST:
            self._give_up(turn)
            return
        self._ends[place] = _End(turn, events, ending, monotonic() + _PATIENCE_SECONDS)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._settle(), context=Context())

    def drop(self, place: tuple[str, str]) -> None:
        """Forget an end that nobody wants any more."""
        if (end := self._ends.pop(place, None)) is not None:
            end.turn.finish()

    async def aclose(self, *, within: float) -> None:
        """Wait so many seconds for what is still to be stored, and give up the rest."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=within)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def forget_all(self) -> None:
        """Say what was never stored."""
        for end in self._ends.values():
            self._give_up(end.turn)
        self._ends.clear()

    async def _settle(self) -> None:
        while self._ends:
            for place, end in list(self._ends.items()):
                try:
                    await end.turn.try_to_close(end.events, end.ending)
                except RespError:
                    if monotonic() < end.deadline:
                        # The others would meet the same.
                        break
                    self._give_up(end.turn)
                except Exception as exc:  # noqa: BLE001 - one that cannot be stored must not keep the others from it
                    _log.warning("the end of run %s cannot be stored: %r", place[1], exc)
                self.drop(place)
            else:
                continue
            await anyio.sleep(_PAUSE_SECONDS)

    def _give_up(self, turn: RedisTurn) -> None:
        _log.error("the end of run %s could not be stored", turn.new.run_id)
        turn.finish()
