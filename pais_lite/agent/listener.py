"""Listens to the nodes of a run of Pydantic AI: what models and tools do becomes run events and memory events."""

from collections.abc import AsyncIterable, Collection, Iterable
from dataclasses import replace
from time import perf_counter
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import (
    AgentStreamEvent,
    DeferredToolResultsEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    OutputToolCallEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.run import AgentRun
from pydantic_core import to_jsonable_python

from pais_lite.agent.event_log import EventLog
from pais_lite.agent.handover import Handover
from pais_lite.agent.request import RunRequest
from pais_lite.agent.tools import needs_approval
from pais_lite.agent.turn import Turn
from pais_lite.delegation import DelegationOutcome, DelegationUpdate
from pais_lite.deps import DelegationScope
from pais_lite.events import Hop, Progress, ProgressStatus, TextDelta, ThinkingDelta
from pais_lite.memory import MemoryEvent
from pais_lite.telemetry import trace_ids

__all__ = ["RunListener"]


class RunListener:
    """Tells what happens in one run: the log all of it, the session what tools were asked for and gave.

    It knows which step the run is at, what of that step's answer has been told, and which calls are under way. `follow`
    is called with each node; what no node says of calls, whoever drives the run does.
    """

    def __init__(
        self,
        *,
        agent: PydanticAgent[Any, Any],
        request: RunRequest,
        log: EventLog,
        turn: Turn,
        scope: DelegationScope,
        handover: Handover,
        max_steps: int,
    ) -> None:
        # Whether the text of this step has been told, and no tool gives the answer in its place.
        self.has_told_answer = False
        self._agent = agent
        self._streams = request.stream
        self._tells_text = request.output is None
        self._log = log
        self._emit = log.put
        self._turn = turn
        self._scope = scope
        self._handover = handover
        self._max_steps = max_steps
        self._step = 0
        # Calls of this turn that are going to wait, unless the agent answers them itself.
        self._held: dict[str, ToolCallPart] = {}
        # Calls that waited for approval, by how that was decided.
        self._approved: Collection[str] = ()
        self._denied: Collection[str] = ()
        # Tool calls under way and when each began, by call id.
        self._calls: dict[str, tuple[ToolCallPart, float]] = {}

    def note_decisions(self, approved: Collection[str], denied: Collection[str]) -> None:
        """Take the calls that the run begins with for those that waited for approval, and how it was decided."""
        self._approved, self._denied = approved, denied

    async def follow(self, run: AgentRun[Any, Any], node: Any) -> None:
        """Listen to a node while it works. Nodes that are not listened to run all the same, and for less."""
        events: AsyncIterable[AgentStreamEvent]
        if PydanticAgent.is_model_request_node(node):
            self._step += 1
            self.has_told_answer = False
            if self._streams:
                async with node.stream(run.ctx) as events:
                    async for event in events:
                        await self._on_model_event(event)
        elif PydanticAgent.is_call_tools_node(node) and any(
            isinstance(part, ToolCallPart) for part in node.model_response.parts
        ):
            async with node.stream(run.ctx) as events:
                async for event in events:
                    await self._on_tool_event(event)

    async def end_waiting(self, calls: Iterable[ToolCallPart]) -> None:
        """Tell the end of calls that wait for approval: a tool may have begun before it asked for it."""
        for waiting in calls:
            if begun := self._calls.pop(waiting.tool_call_id, None):
                await self._emit(self._progress(begun[0], "completed", begun[1]))

    def fail_calls(self) -> None:
        """Tell that the calls under way failed, and do not wait for readers."""
        for call, began in self._calls.values():
            self._log.append(self._progress(call, "failed", began))

    async def _on_model_event(self, event: AgentStreamEvent) -> None:
        if self._handover.listens:
            await self._handover.on_model_event(event)
        match event:
            case (
                PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                | PartStartEvent(part=TextPart(content=text))
            ):
                if text and self._tells_text:
                    self.has_told_answer = True
                    await self._emit(TextDelta(text))
            case (
                PartDeltaEvent(delta=ThinkingPartDelta(content_delta=thought))
                | PartStartEvent(part=ThinkingPart(content=thought))
            ) if thought:
                await self._emit(ThinkingDelta(thought))
            case _:
                pass

    async def _on_tool_event(self, event: AgentStreamEvent) -> None:
        match event:
            case FunctionToolCallEvent(part=call) if self._waits(call):
                # Told, and remembered, once it is known of all calls of the turn whether they wait.
                self._held[call.tool_call_id] = call
            case FunctionToolCallEvent(part=call):
                await self._on_call(call)
            case FunctionToolResultEvent(part=result):
                # A model may give two calls of one turn the same id; the second result then has no call left.
                _, began = self._calls.pop(result.tool_call_id, (None, None))
                content = to_jsonable_python(result.content, fallback=str, inf_nan_mode="strings")
                event_type = "delegation_response" if self._delegates(result) else "tool_result"
                await self._remember(event_type, result, result=content)
                failed = result.outcome in ("failed", "retried")
                if isinstance(result.metadata, DelegationOutcome):
                    failed = failed or result.metadata.failed
                if result.tool_call_id not in self._denied:
                    ended = self._progress(result, "failed" if failed else "completed", began)
                    await self._emit(replace(ended, result=content))
            case DeferredToolResultsEvent(results=results):
                # The agent has somebody of its own who answers, before anybody else is asked.
                for call_id in [*results.approvals, *results.calls]:
                    if (held := self._held.pop(call_id, None)) is not None:
                        await self._on_call(held)
            case DelegationUpdate():
                if (progress := self._passed_on(event)) is not None:
                    await self._emit(progress)
            case OutputToolCallEvent(args_valid=True):
                self.has_told_answer = False
            case _:
                pass

    async def _on_call(self, call: ToolCallPart) -> None:
        """Remember and tell that a call has begun."""
        self._calls[call.tool_call_id] = (call, perf_counter())
        arguments = _arguments(call)
        # Of one that was approved, that is what memory has of it.
        if call.tool_call_id not in self._approved:
            event_type = "delegation_request" if self._delegates(call) else "tool_call"
            await self._remember(event_type, call, arguments=arguments)
        await self._emit(replace(self._progress(call, "started"), arguments=arguments))

    def _waits(self, call: ToolCallPart) -> bool:
        """Return whether a call is the client's, to run or to approve."""
        if call.tool_call_id in self._approved or call.tool_call_id in self._denied:
            return call.tool_call_id in self._denied
        return self._handover.is_for_client(call.tool_name) or needs_approval(self._agent, call.tool_name)

    def _delegates(self, call: ToolCallPart | ToolReturnPart) -> bool:
        return call.tool_name in self._scope.targets

    def _passed_on(self, update: DelegationUpdate) -> Progress | None:
        """Return what another agent did as a step of this run, below the call that it works for."""
        call, _ = self._calls.get(update.tool_call_id or "", (None, None))
        if call is None:
            return None
        own = self._progress(call, "running")
        if update.progress is None:
            return replace(own, delta=update.delta)
        return replace(update.progress, path=(Hop(own.target, own.call_id), *update.progress.path))

    async def _remember(
        self, event_type: str, call: ToolCallPart | ToolReturnPart, **details: object
    ) -> None:
        content = {"tool": call.tool_name, "call_id": call.tool_call_id, **details}
        event = MemoryEvent(event_type=event_type, content=content, metadata=trace_ids())
        await self._turn.append([event])

    def _progress(
        self, call: ToolCallPart | ToolReturnPart, status: ProgressStatus, began: float | None = None
    ) -> Progress:
        target = self._scope.targets.get(call.tool_name)
        return Progress(
            step=self._step,
            max_steps=self._max_steps,
            action="tool_call" if target is None else "delegate",
            target=target or call.tool_name,
            call_id=call.tool_call_id,
            status=status,
            duration_ms=None if began is None else round((perf_counter() - began) * 1000),
        )


def _arguments(call: ToolCallPart) -> Any:
    return to_jsonable_python(call.args_as_dict(), fallback=str, inf_nan_mode="strings")
