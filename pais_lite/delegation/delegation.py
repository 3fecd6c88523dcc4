"""One task handed to another agent: on which terms, what comes back meanwhile, and what the model is told."""

import asyncio
from dataclasses import dataclass
from typing import Any

from pydantic_ai import CustomEvent, RunContext, ToolReturn

from pais_lite.delegation.chain import check_chain
from pais_lite.delegation.profile import AgentProfile
from pais_lite.delegation.stream import AnswerText
from pais_lite.delegation.sub_agent import AnswerPart, AnswerUsage, SubAgent, Task
from pais_lite.deps import AgentDeps, DelegationScope
from pais_lite.errors import DelegationFailed, DelegationRefused, PeerUnavailable
from pais_lite.events import Progress, Usage
from pais_lite.memory.base import DEFAULT_OWNER
from pais_lite.telemetry import delegation_span

__all__ = ["Delegation", "DelegationOutcome", "DelegationUpdate"]

# Left of the caller's time for its own model to make something of the answer, or of its absence.
_RESERVED_SECONDS = 0.25


@dataclass(kw_only=True)
class DelegationUpdate(CustomEvent, name="pais_lite_delegation_update"):
    """What another agent does while it works: a piece of its text, or a step of its own."""

    delta: str | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class DelegationOutcome:
    """How a delegation ended, in the `metadata` of the tool's result, which no model sees."""

    failed: bool


class Delegation:
    """One delegation of a run. Used once.

    `reason` is the other agent's word for its failure, where it gave one.
    """

    def __init__(self, agent: SubAgent, profile: AgentProfile, scope: DelegationScope) -> None:
        self.reason: str | None = None
        self._agent = agent
        self._profile = profile
        self._scope = scope
        self._usage = Usage()

    async def perform(self, task: str, ctx: RunContext[Any]) -> ToolReturn[str]:
        """Hand the task over and return the answer; one that does not come is told to the model as a failure.

        Cancelling it ends the other agent's work.
        """
        with delegation_span(self._agent.name) as span:
            try:
                text, failed = await self._in_time(task, ctx), False
            except (DelegationFailed, DelegationRefused) as exc:
                text, failed = _failure(self._agent, exc.message), True
                span.fail(exc)
                if isinstance(exc, DelegationFailed):
                    self.reason = exc.reason
                if isinstance(exc, PeerUnavailable):
                    self._agent.lost()
            finally:
                # Also of one that is given up because the run failed elsewhere.
                if self._usage != Usage():
                    self._scope.usage += self._usage.of(self._agent.name)
            usage = self._usage
            span.answered(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
        return ToolReturn(text, metadata=DelegationOutcome(failed))

    @staticmethod
    def not_tried(agent: SubAgent, why: str) -> ToolReturn[str]:
        """Return the failure of a delegation that there is no point in."""
        return ToolReturn(_failure(agent, why), metadata=DelegationOutcome(True))

    async def _in_time(self, text: str, ctx: RunContext[Any]) -> str:
        scope, seconds = self._scope, self._agent.timeout
        if scope.deadline is not None:
            remaining = scope.deadline - asyncio.get_running_loop().time() - _RESERVED_SECONDS
            seconds = max(0.0, min(seconds, remaining))
        chain = (*scope.chain, *([scope.agent] if scope.agent else []))
        check_chain(chain, self._profile.calls_itself or "", scope.max_depth)
        task = Task(
            text=text,
            seconds=seconds,
            owner=ctx.deps.memory.owner if isinstance(ctx.deps, AgentDeps) else DEFAULT_OWNER,
            context=scope.context,
            chain=chain,
            stream=scope.stream,
        )

        async def tell(part: AnswerPart) -> None:
            match part:
                case AnswerText(text=text):
                    await ctx.emit(DelegationUpdate(delta=text))
                case AnswerUsage(usage=usage):
                    self._usage = usage
                case Progress():
                    await ctx.emit(DelegationUpdate(progress=part))

        try:
            async with asyncio.timeout(seconds):
                return await self._agent.hand_over(task, self._profile, tell)
        except TimeoutError as exc:
            raise DelegationFailed(f"it had no answer within {seconds:.3g} seconds") from exc


def _failure(agent: SubAgent, why: str) -> str:
    return f"[Delegation failed: agent {agent.name}: {why}]"
