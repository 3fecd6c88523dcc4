"""`SubAgent`: another agent that a task can be handed to, however it is reached, and whether it can be at the moment."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass

from pais_lite.delegation.profile import AgentProfile
from pais_lite.delegation.stream import AnswerText
from pais_lite.errors import PeerUnavailable
from pais_lite.events import Progress, Usage
from pais_lite.memory import MemoryEvent

__all__ = ["AnswerPart", "AnswerUsage", "SubAgent", "Task"]

_log = logging.getLogger("pais_lite.delegation")

# How long what was learnt is taken for true before it is looked up again, beside a request and not before it.
_FRESH_SECONDS = 60.0
# Pauses between looks for an agent that is away: soon at first, since most are away for a restart.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What another agent is asked to do, and on which terms.

    `context` is what was said so far, `chain` the agents that the task has come through, the one who asks included.
    Nobody waits longer than `seconds` for the answer, which is wanted in pieces with `stream`. What the other agent
    remembers of it belongs to `owner`, where the two share their owners.
    """

    text: str
    seconds: float
    owner: str
    context: Sequence[MemoryEvent] = ()
    chain: tuple[str, ...] = ()
    stream: bool = True

    def messages(self, *, role: str) -> list[dict[str, str]]:
        """Return the conversation in the OpenAI shape; delegated turns, of which the task is the last, have `role`."""
        roles = {"agent_response": "assistant", "task_delegation_received": role}
        said = [
            {"role": roles.get(event.event_type, "user"), "content": str(event.content)}
            for event in self.context
        ]
        return [*said, {"role": role, "content": self.text}]


@dataclass(frozen=True, slots=True)
class AnswerUsage:
    """What the other agent has used so far, all in all."""

    usage: Usage


AnswerPart = AnswerText | AnswerUsage | Progress


class SubAgent(ABC):
    """Another agent. What it is and can is looked up in the background, from the first use on.

    While it cannot be reached, `profile` is `None`, and looking goes on until it can.
    """

    def __init__(self, name: str, *, timeout: float = 60.0) -> None:
        self.name = name
        self.timeout = timeout
        self.profile: AgentProfile | None = None
        self._looking: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._fresh_until = 0.0

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it is, for those who run this process; no caller and no model gets to see that."""

    @abstractmethod
    async def discover(self) -> AgentProfile:
        """Look the agent up.

        Raises:
            PeerUnavailable: it did not answer in time, or not like an agent.
        """

    @abstractmethod
    async def hand_over(
        self, task: Task, profile: AgentProfile, tell: Callable[[AnswerPart], Awaitable[None]]
    ) -> str:
        """Hand a task over and return the answer; `tell` hears what the agent says, does and uses meanwhile.

        Cancelling it ends the other agent's work.

        Raises:
            DelegationFailed: it has no answer; the message is for the model of the one who asked.
            DelegationRefused: the chain of agents does not allow it.
        """

    def watch(self) -> None:
        """See to it, in the background, that what is known of the agent is true. Costs nothing while it is."""
        if self._looking is None or self._looking.done():
            loop = asyncio.get_running_loop()
            if self.profile is None or loop.time() >= self._fresh_until:
                # In a context of its own: it does not belong to the request that happened to come first.
                self._looking = loop.create_task(self._look(), context=Context())

    @property
    def was_looked_for(self) -> bool:
        """Whether the agent has been looked for, found or not."""
        return self._looked.is_set()

    async def first_look(self) -> None:
        """Wait until the agent has been looked for once, found or not; at most the time that discovery may take."""
        self.watch()
        await self._looked.wait()

    def lost(self) -> None:
        """Take note that the agent could not be reached: it counts as away until it has been found again."""
        self.profile = None
        self.watch()

    async def aclose(self) -> None:
        """Stop looking; using the agent again begins it again."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])
        self._fresh_until = 0.0

    async def _look(self) -> None:
        try:
            await self._look_until_found()
        finally:
            # Whatever happened: runs wait for it.
            self._looked.set()

    async def _look_until_found(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                profile = await self.discover()
            except PeerUnavailable as exc:
                if self.profile is not None or not self._looked.is_set():
                    _log.warning("agent %s is left out until it is found: %s", self.name, exc)
                self.profile = None
                self._looked.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            if self.profile is None:
                _log.info("agent %s is found", self.name)
            self.profile = profile
            self._fresh_until = asyncio.get_running_loop().time() + _FRESH_SECONDS
            return
