"""Drives one run of Pydantic AI: its nodes and stream events become memory events and run events."""

import asyncio
import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import exceptions
from pydantic_ai.messages import (
    AgentStreamEvent,
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
from pydantic_ai.models import Model
from pydantic_ai.run import AgentRun
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import RunUsage, UsageLimits
from pydantic_core import to_json, to_jsonable_python

from pais_lite.agent.failures import translate
from pais_lite.agent.request import RunRequest
from pais_lite.delegation import DelegationOutcome, DelegationUpdate
from pais_lite.deps import AgentDeps
from pais_lite.errors import PaisError, RunCancelled
from pais_lite.events import (
    Failed,
    Finished,
    FinishReason,
    Hop,
    Progress,
    RunEvent,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from pais_lite.memory import Memory, MemoryEvent
from pais_lite.memory.history import model_messages
from pais_lite.pacing import Turnstile
from pais_lite.telemetry import trace_ids

__all__ = ["RunDriver"]

_log = logging.getLogger("pais_lite.agent")

# How long a run that was cancelled may take to write down that it was.
_LAST_WORDS_TIMEOUT = 5.0
_FINISH_REASONS: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}


class RunDriver:
    """One run from its first memory event to its last. Used once."""

    def __init__(
        self,
        *,
        agent: PydanticAgent[Any, Any],
        model: Model | str | None,
        deps: AgentDeps,
        toolsets: Sequence[AbstractToolset[Any]] | None,
        memory: Memory,
        request: RunRequest,
        max_steps: int,
        context_limit: int,
        starts: Turnstile,
        emit: Callable[[RunEvent], Awaitable[None]],
    ) -> None:
        self._agent = agent
        self._model = model
        self._deps = deps
        self._toolsets = toolsets
        self._memory = memory
        self._request = request
        self._max_steps = max_steps
        self._context_limit = context_limit
        self._starts = starts
        self._emit = emit
        self._usage = RunUsage()
        # Of the agents that were delegated to. Beside the run's own, whose model calls are limited.
        self._usage_of_others = Usage()
        self._step = 0
        self._step_has_text = False
        self._answered_by_tool = False
        # Tool calls under way and when each began, by call id.
        self._calls: dict[str, tuple[ToolCallPart, float]] = {}

    async def drive(self, cancel_reason: Callable[[], PaisError | None]) -> Finished | Failed:
        """Run to the end and return its last event, which memory has by then.

        A run that is cancelled by `Run.cancel`, which leaves a reason, ends in a `Failed` with that reason.
        """
        try:
            return await self._answer()
        except asyncio.CancelledError:
            reason = cancel_reason()
            if reason is None:
                await self._fail(RunCancelled("the server stopped"), within=_LAST_WORDS_TIMEOUT)
                raise
            return await self._fail(reason, within=_LAST_WORDS_TIMEOUT)
        except Exception as exc:  # noqa: BLE001 - the edge to the user's own code, which may raise anything
            return await self._fail(translate(exc, max_steps=self._max_steps), within=_LAST_WORDS_TIMEOUT)

    async def _answer(self) -> Finished:
        request = self._request
        turn_type = "task_delegation_received" if request.delegated else "user_message"
        turn = MemoryEvent(event_type=turn_type, content=request.prompt_text, metadata=trace_ids())
        if request.history is None:
            before = await self._memory.open_turn(request.session_id, turn, self._context_limit)
            history = model_messages(before)
        else:
            before = []
            await self._memory.append(request.session_id, [turn])
            history = list(request.history)
        limit = self._context_limit
        self._deps.delegation.context = [*before, turn][-limit:] if limit else ()
        finished = await self._run(history)
        answer = MemoryEvent(event_type="agent_response", content=finished.output, metadata=trace_ids())
        await self._memory.append(request.session_id, [answer])
        return finished

    async def _run(self, history: list[Any]) -> Finished:
        request = self._request
        if not self._starts.try_pass():
            await self._starts.wait_and_pass()
        try:
            async with self._agent.iter(
                request.prompt,
                message_history=history,
                model=self._model,
                instructions=request.instructions,
                deps=self._deps,
                toolsets=self._toolsets,
                model_settings=request.model_settings,
                usage=self._usage,
                usage_limits=UsageLimits(request_limit=self._max_steps),
                infer_name=False,
            ) as run:
                async for node in run:
                    await self._follow(run, node)
        except exceptions.ContentFilterError:
            return Finished(output="", finish_reason="content_filter", usage=self._usage_so_far())
        except exceptions.OutputTokenLimitExceeded:
            return Finished(output="", finish_reason="length", usage=self._usage_so_far())
        result = run.result
        assert result is not None
        is_text = isinstance(result.output, str)
        output = result.output if is_text else to_json(result.output, fallback=str).decode()
        if request.stream and output and (self._answered_by_tool or not self._step_has_text):
            await self._emit(TextDelta(output))
        reason = _FINISH_REASONS.get(result.response.finish_reason or "stop", "stop")
        return Finished(output=output, finish_reason=reason, usage=self._usage_so_far())

    async def _follow(self, run: AgentRun[Any, Any], node: Any) -> None:
        """Listen to a node while it works. Nodes that are not listened to run all the same, and for less."""
        events: AsyncIterable[AgentStreamEvent]
        if PydanticAgent.is_model_request_node(node):
            self._step += 1
            self._step_has_text = False
            if self._request.stream:
                async with node.stream(run.ctx) as events:
                    async for event in events:
                        await self._on_model_event(event)
        elif PydanticAgent.is_call_tools_node(node) and any(
            isinstance(part, ToolCallPart) for part in node.model_response.parts
        ):
            async with node.stream(run.ctx) as events:
                async for event in events:
                    await self._on_tool_event(event)

    async def _on_model_event(self, event: AgentStreamEvent) -> None:
        match event:
            case (
                PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                | PartStartEvent(part=TextPart(content=text))
            ):
                if text:
                    self._step_has_text = True
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
            case FunctionToolCallEvent(part=call):
                self._calls[call.tool_call_id] = (call, perf_counter())
                arguments = to_jsonable_python(call.args_as_dict(), fallback=str, inf_nan_mode="strings")
                event_type = "delegation_request" if self._delegates(call) else "tool_call"
                await self._remember(event_type, call, arguments=arguments)
                await self._emit(self._progress(call, "started"))
            case FunctionToolResultEvent(part=result):
                # A model may give two calls of one turn the same id; the second result then has no call left.
                _, began = self._calls.pop(result.tool_call_id, (None, None))
                content = to_jsonable_python(result.content, fallback=str, inf_nan_mode="strings")
                event_type = "delegation_response" if self._delegates(result) else "tool_result"
                await self._remember(event_type, result, result=content)
                failed = result.outcome in ("failed", "retried")
                if isinstance(result.metadata, DelegationOutcome):
                    failed = failed or result.metadata.failed
                    self._usage_of_others += result.metadata.usage
                await self._emit(self._progress(result, "failed" if failed else "completed", began))
            case DelegationUpdate():
                if (progress := self._passed_on(event)) is not None:
                    await self._emit(progress)
            case OutputToolCallEvent(args_valid=True):
                self._answered_by_tool = True
            case _:
                pass

    def _delegates(self, call: ToolCallPart | ToolReturnPart) -> bool:
        return call.tool_name in self._deps.delegation.targets

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
        await self._memory.append(
            self._request.session_id,
            [MemoryEvent(event_type=event_type, content=content, metadata=trace_ids())],
        )

    async def _fail(self, error: PaisError, *, within: float) -> Failed:
        """Write down that the run failed, and return its last event."""
        metadata = {**({"code": error.code} if error.code else {}), **trace_ids()}
        event = MemoryEvent(event_type="error", content=error.message, metadata=metadata)
        try:
            async with asyncio.timeout(within):
                await self._memory.append(self._request.session_id, [event])
                # Within the time, too: a reader who has stalled must not keep the run from its end.
                for call, began in self._calls.values():
                    if not isinstance(error, RunCancelled):
                        await self._emit(self._progress(call, "failed", began))
        except Exception as exc:  # noqa: BLE001 - a memory may be the user's own, and raise anything
            _log.error("session %s: the error %r could not be told: %r", self._request.session_id, error, exc)
        return Failed(error=error, usage=self._usage_so_far())

    def _progress(
        self, call: ToolCallPart | ToolReturnPart, status: Any, began: float | None = None
    ) -> Progress:
        target = self._deps.delegation.targets.get(call.tool_name)
        return Progress(
            step=self._step,
            max_steps=self._max_steps,
            action="tool_call" if target is None else "delegate",
            target=target or call.tool_name,
            call_id=call.tool_call_id,
            status=status,
            duration_ms=None if began is None else round((perf_counter() - began) * 1000),
        )

    def _usage_so_far(self) -> Usage:
        usage = self._usage
        own = Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cache_read_tokens,
            reasoning_tokens=usage.output_reasoning_tokens or usage.details.get("reasoning_tokens", 0),
        )
        return own + self._usage_of_others
