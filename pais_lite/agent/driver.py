"""Drives one run of Pydantic AI: its nodes and stream events become memory events and run events."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import DeferredToolRequests, exceptions
from pydantic_ai.messages import (
    AgentStreamEvent,
    DeferredToolResultsEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelMessage,
    ModelResponse,
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

from pais_lite.agent.client_tools import CalledTools, ClientToolset, check_names, offered
from pais_lite.agent.earlier_turns import earlier_turns
from pais_lite.agent.failures import translate
from pais_lite.agent.handover import Handover
from pais_lite.agent.outputs import OutputTypes, maybe_violation
from pais_lite.agent.pause import Pause, turn_so_far, waiting_events
from pais_lite.agent.request import OutputFormat, RunRequest
from pais_lite.agent.resume import Start, resume
from pais_lite.agent.run import Run
from pais_lite.agent.tools import needs_approval
from pais_lite.agent.turn import Turn
from pais_lite.delegation import DelegationOutcome, DelegationUpdate
from pais_lite.deps import AgentDeps
from pais_lite.encoding import load_json
from pais_lite.errors import ModelMisbehaved, PaisError, RunCancelled
from pais_lite.events import (
    Failed,
    Finished,
    FinishReason,
    Hop,
    Progress,
    TextDelta,
    ThinkingDelta,
    Usage,
)
from pais_lite.memory import MemoryEvent
from pais_lite.memory.history import model_messages
from pais_lite.pacing import Turnstile
from pais_lite.telemetry import trace_ids

__all__ = ["RunDriver"]

_log = logging.getLogger("pais_lite.agent")

# How long a run that was cancelled may take to write down that it was.
_LAST_WORDS_TIMEOUT = 5.0
# In the metadata of the agent: `message` where its answer is no result of a task.
_REPLY_KEY = "reply"
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
        turn: Turn,
        request: RunRequest,
        max_steps: int,
        context_limit: int,
        starts: Turnstile,
        run: Run,
        outputs: OutputTypes,
        own_tools: Callable[[], Awaitable[Collection[str]]],
    ) -> None:
        self._agent = agent
        self._model = model
        self._deps = deps
        self._toolsets = toolsets
        self._turn = turn
        self._request = request
        self._max_steps = max_steps
        self._context_limit = context_limit
        self._starts = starts
        self._run = run
        self._emit = run.log.put
        self._outputs = outputs
        self._own_tools = own_tools
        self._client_tools = offered(request.client_tools, request.tool_choice)
        self._handover = Handover(
            {tool.name for tool in self._client_tools},
            session_id=request.session_id,
            live=request.stream and (outputs.is_text or outputs.replaced_by(request.output)),
            # Said along the way, they would come before the text that the model said first.
            emit=run.log.put if request.stream else None,
        )
        # The calls that the run ends in, as memory keeps them.
        self._waiting: list[MemoryEvent] = []
        # Calls of this turn that are going to wait, unless the agent answers them itself.
        self._held: dict[str, ToolCallPart] = {}
        # Calls that waited for approval, by how that was decided.
        self._approved: frozenset[str] = frozenset()
        self._denied: frozenset[str] = frozenset()
        self._usage = RunUsage()
        self._step = 0
        self._step_has_text = False
        self._answered_by_tool = False
        # Tool calls under way and when each began, by call id.
        self._calls: dict[str, tuple[ToolCallPart, float]] = {}

    async def drive(self) -> Finished | Failed:
        """Run to the end and return its last event, which memory has by then.

        A run that is cancelled by `Run.cancel`, which leaves a reason, ends in a `Failed` with that reason.
        """
        try:
            return await self._answer()
        except asyncio.CancelledError:
            reason = self._run.cancel_reason
            if reason is None:
                await self._fail(RunCancelled("the server stopped"), within=_LAST_WORDS_TIMEOUT)
                raise
            return await self._fail(reason, within=_LAST_WORDS_TIMEOUT)
        except Exception as exc:  # noqa: BLE001 - the edge to the user's own code, which may raise anything
            error = translate(
                exc, max_steps=self._max_steps, tells_output=self._outputs.replaced_by(self._request.output)
            )
            return await self._fail(error, within=_LAST_WORDS_TIMEOUT)

    async def _answer(self) -> Finished:
        self._outputs.check(self._request.output, with_tools=bool(self._client_tools))
        if self._client_tools:
            check_names(self._client_tools, await self._own_tools())
        start = await (self._resume_turn() if self._request.resumes else self._open_turn())
        self._run.begin()
        limit = self._context_limit
        scope = self._deps.delegation
        scope.context = start.context[-limit:] if limit else ()
        scope.deadline = self._run.deadline
        finished = await self._iterate(start)
        answer = MemoryEvent(event_type="agent_response", content=finished.output, metadata=trace_ids())
        await self._turn.close(self._waiting or [answer], finished)
        return finished

    async def _open_turn(self) -> Start:
        request = self._request
        turn_type = "task_delegation_received" if request.delegated else "user_message"
        turn = MemoryEvent(event_type=turn_type, content=request.prompt_text, metadata=trace_ids())
        limit = self._context_limit
        first, *others = [*earlier_turns(request.preceding, limit), turn]
        before = await self._turn.open(first, limit if request.history is None else 0)
        if others:
            await self._turn.append(others)
        history = model_messages(before) if request.history is None else request.history
        return Start(request.prompt, [*history, *request.preceding], context=[*before, first, *others])

    async def _resume_turn(self) -> Start:
        events = await self._turn.open(None, 0)
        return await resume(
            self._request,
            events,
            self._turn,
            self._deps.memory,
            context_limit=self._context_limit,
            own_tools=self._own_tools,
        )

    async def _iterate(self, start: Start) -> Finished:
        self._approved, self._denied = start.approved, start.denied
        if not self._starts.try_pass():
            await self._starts.wait_and_pass()
        try:
            async with self._begin(start) as run:
                # As `agent.run` does; `async for` looks up the run's state again and again between two nodes.
                node = run.next_node
                while run.result is None and not PydanticAgent.is_end_node(node):
                    await self._follow(run, node)
                    node = await run.next(node)
        except exceptions.ContentFilterError:
            return Finished(output="", finish_reason="content_filter", usage=self._usage_so_far())
        except exceptions.OutputTokenLimitExceeded:
            return Finished(output="", finish_reason="length", usage=self._usage_so_far())
        result = run.result
        assert result is not None
        if isinstance(result.output, DeferredToolRequests):
            return await self._pause(result.output, start, run.new_messages(), result.response)
        is_text = isinstance(result.output, str)
        output = (
            result.output if is_text else to_json(result.output, fallback=str, inf_nan_mode="null").decode()
        )
        if self._request.output is not None and not self._outputs.replaced_by(self._request.output):
            _check_own_output(self._request.output, output)
        streams = self._request.stream and (is_text or self._request.streams_structured)
        if streams and output and (self._answered_by_tool or not self._step_has_text):
            await self._emit(TextDelta(output))
        reason = _FINISH_REASONS.get(result.response.finish_reason or "stop", "stop")
        return Finished(
            output=output,
            finish_reason=reason,
            usage=self._usage_so_far(),
            structured=not is_text,
            is_message=(result.metadata or {}).get(_REPLY_KEY) == "message",
        )

    async def _pause(
        self,
        requests: DeferredToolRequests,
        start: Start,
        new_messages: Sequence[ModelMessage],
        response: ModelResponse,
    ) -> Finished:
        """Hand the calls that wait to the client."""
        # A tool may have begun before it asked for approval; what it began is over.
        for waiting in requests.approvals:
            if begun := self._calls.pop(waiting.tool_call_id, None):
                await self._emit(self._progress(begun[0], "completed", begun[1]))
        calls = await self._handover.finish(requests)
        messages = turn_so_far([*start.turn, *new_messages], self._handover.call_ids)
        self._waiting = waiting_events(Pause(calls, messages, start.after, start.kept), trace_ids())
        return Finished(
            output=(response.text or "") if self._request.output is None else "",
            finish_reason="tool_calls",
            usage=self._usage_so_far(),
            tool_calls=calls,
        )

    @asynccontextmanager
    async def _begin(self, start: Start) -> AsyncGenerator[AgentRun[Any, Any]]:
        """Begin the run of Pydantic AI."""
        async with AsyncExitStack() as stack:
            with self._run.settling():
                try:
                    run = await stack.enter_async_context(self._iter(start))
                except exceptions.UserError as exc:
                    if "output validators" not in exc.message:
                        raise
                    self._outputs.keep_own()
                    self._outputs.check(self._request.output, with_tools=bool(self._client_tools))
                    run = await stack.enter_async_context(self._iter(start))
            yield run

    def _iter(self, start: Start) -> AbstractAsyncContextManager[AgentRun[Any, Any]]:
        request, tools = self._request, self._client_tools
        toolsets, capabilities = self._toolsets, None
        if tools:
            toolsets = [*(toolsets or ()), ClientToolset(tools)]
        if tools and request.tool_choice.mode == "required":
            named = request.tool_choice.names is not None
            called = CalledTools([tool.name for tool in tools], only=named, max_steps=self._max_steps)
            capabilities = [called]
        return self._agent.iter(
            start.prompt,
            output_type=self._outputs.for_run(request.output, self._model, more_tools=bool(toolsets)),
            message_history=list(start.history),
            deferred_tool_results=start.results,
            model=self._model,
            instructions=request.instructions,
            deps=self._deps,
            toolsets=toolsets,
            capabilities=capabilities,
            model_settings=request.model_settings,
            metadata=dict(request.metadata) or None,
            usage=self._usage,
            usage_limits=UsageLimits(request_limit=self._max_steps),
            infer_name=False,
        )

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
        if self._client_tools:
            await self._handover.on_model_event(event)
        match event:
            case (
                PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                | PartStartEvent(part=TextPart(content=text))
            ):
                if text and self._request.output is None:
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
                self._answered_by_tool = True
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
        event = MemoryEvent(event_type=event_type, content=content, metadata=trace_ids())
        await self._turn.append([event])

    async def _fail(self, error: PaisError, *, within: float) -> Failed:
        """Write down that the run failed, and return its last event."""
        failed = Failed(error=error, usage=self._usage_so_far())
        if not isinstance(error, RunCancelled):
            for call, began in self._calls.values():
                self._run.log.append(self._progress(call, "failed", began))
        # What never began has nothing in the session that an error could be the answer to.
        metadata = {**({"code": error.code} if error.code else {}), **trace_ids()}
        event = MemoryEvent(event_type="error", content=error.message, metadata=metadata)
        try:
            async with asyncio.timeout(within):
                await self._turn.close([event] if self._run.has_begun else [], failed)
        except Exception as exc:  # noqa: BLE001 - a memory may be the user's own, and raise anything
            _log.error("session %s: the error %r could not be told: %r", self._request.session_id, error, exc)
        return failed

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
        # Beside the run's own, whose model calls are limited.
        others = self._deps.delegation.usage
        return own if others == Usage() else own.of(self._deps.delegation.agent) + others


def _arguments(call: ToolCallPart) -> Any:
    return to_jsonable_python(call.args_as_dict(), fallback=str, inf_nan_mode="strings")


def _check_own_output(wanted: OutputFormat, output: str) -> None:
    """Return when the agent's own output is what the client wanted; raises `ModelMisbehaved` when it is not."""
    try:
        value = load_json(output.encode())
    except ValueError:
        value = None
    if (violation := maybe_violation(wanted, value)) is not None:
        raise ModelMisbehaved(f"the agent's answer does not fit response_format: {violation}")
