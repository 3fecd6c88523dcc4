"""Agents of one process that hand tasks to each other: like over HTTP, and without it.

The one who asks sees the same tools, progress, failures and usage, the one who is asked remembers the same, and a trace
has the same shape. A task takes no place among `MAX_CONCURRENT_RUNS`: the run that it is a part of has one.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING

from pais_lite.agent.messages import read_conversation
from pais_lite.agent.outcome import run_outcome
from pais_lite.agent.request import RunRequest
from pais_lite.agent.run import Run
from pais_lite.delegation import (
    AgentProfile,
    AnswerPart,
    AnswerText,
    AnswerUsage,
    SubAgent,
    Task,
    maybe_plain_word,
    maybe_profile,
    waits_for_somebody,
)
from pais_lite.errors import DelegationFailed, InvalidRequest, PeerUnavailable, RunCancelled, ServerDraining
from pais_lite.events import Failed, Finished, Progress, TextDelta, ThinkingDelta
from pais_lite.telemetry import ServedRequest, ServerRun, Telemetry

if TYPE_CHECKING:
    from pais_lite.agent.agent import Agent

__all__ = ["Neighbour", "Neighbours"]

# How long the end of a run that nobody waits for any more is waited for, so that its span covers it.
_LAST_WORDS_TIMEOUT = 5.0


class Neighbours:
    """The agents that live in one process. Their `names` are known before they are made, and move in one by one.

    `telemetry` hears of their tasks; until a server says otherwise, nobody does.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.names = names
        self.telemetry = Telemetry()
        self._agents: dict[str, Agent] = {}

    def move_in(self, agent: "Agent") -> None:
        """Add an agent, which can be handed tasks from now on."""
        self._agents[agent.name] = agent

    def maybe_agent(self, name: str) -> "Agent | None":
        """Return the agent of that name, `None` while there is none."""
        return self._agents.get(name)


class Neighbour(SubAgent):
    """An agent of this process, as another one of it sees it."""

    def __init__(self, name: str, neighbours: Neighbours, *, timeout: float = 60.0) -> None:
        super().__init__(name, timeout=timeout)
        self._neighbours = neighbours

    @property
    def place(self) -> str:
        """Here."""
        return "this process"

    async def discover(self) -> AgentProfile:
        """Read the agent's card, as one would that comes over HTTP."""
        card = await self._agent().get_agent_card("")
        profile = maybe_profile(card.to_dict())
        if profile is None:
            raise PeerUnavailable("its card cannot be read")
        return profile

    async def hand_over(
        self, task: Task, profile: AgentProfile, tell: Callable[[AnswerPart], Awaitable[None]]
    ) -> str:
        """Start a run of the agent and follow it to its end; see `SubAgent`."""
        agent = self._agent()
        agent.check_chain(task.chain)
        request = _request(task)
        served = ServedRequest(
            agent=agent.name,
            model=profile.model,
            session_id=request.session_id,
            stream=request.stream,
            delegated_by=task.chain[-1],
        )
        with self._neighbours.telemetry.server_run(served) as span:
            run = agent.start(request)
            left = True
            try:
                ending = await (_follow(run, tell, span) if task.stream else run.ending())
                left = False
            finally:
                if left:
                    await _end(run)
                ended = run.maybe_ending
                error = ended.error if isinstance(ended, Failed) and not left else None
                span.finish(run_outcome(ended, error, client_left=left))
                if ended is not None:
                    await tell(AnswerUsage(ended.usage))
        if isinstance(ending, Failed):
            raise _failure(ending)
        if ending.tool_calls:
            raise waits_for_somebody()
        return ending.output

    def _agent(self) -> "Agent":
        agent = self._neighbours.maybe_agent(self.name)
        if agent is None:
            raise PeerUnavailable("it is not there yet")
        return agent


def _request(task: Task) -> RunRequest:
    try:
        conversation = read_conversation(task.messages(role="task-delegation"))
    except InvalidRequest as exc:
        raise DelegationFailed("it could not read the task") from exc
    assert conversation.prompt is not None
    return RunRequest(
        prompt=conversation.prompt,
        session_id=f"session_{secrets.token_hex(16)}",
        owner=task.owner,
        history=tuple(conversation.history),
        delegated=conversation.delegated,
        stream=task.stream,
        chain=task.chain,
        timeout=task.seconds,
    )


async def _follow(
    run: Run, tell: Callable[[AnswerPart], Awaitable[None]], span: ServerRun
) -> Finished | Failed:
    """Pass on what the agent says and does; neighbouring pieces of text as one."""
    reader = run.log.reader()
    try:
        while True:
            text = ""
            for event in await reader.take():
                if span.waits_for_first_token and isinstance(event, TextDelta | ThinkingDelta):
                    span.first_token()
                if isinstance(event, TextDelta):
                    text += event.text
                    continue
                if text:
                    await tell(AnswerText(text))
                    text = ""
                if isinstance(event, Progress):
                    await tell(event)
                elif isinstance(event, Finished | Failed):
                    return event
            if text:
                await tell(AnswerText(text))
    finally:
        reader.leave()


async def _end(run: Run) -> None:
    run.cancel(RunCancelled("the client left before the run had its answer"))
    try:
        async with asyncio.timeout(_LAST_WORDS_TIMEOUT):
            await run.ending()
    except TimeoutError:
        return


def _failure(ending: Failed) -> DelegationFailed:
    if isinstance(ending.error, ServerDraining):
        return DelegationFailed("it is too busy at the moment")
    return DelegationFailed.because(
        "it failed while it worked on the task", maybe_plain_word(ending.error.code)
    )
