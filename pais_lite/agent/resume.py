"""How a run goes on after its pause: the client's answers, checked against the calls that wait, and where it begins.

What waits is looked up in the session, whatever the client sends of it: so the calls and results of the agent's own
tools are not lost to a client that never saw them, and nobody can approve a call that the agent did not make, or make
it run with other arguments. A client that keeps the conversation itself can go on without a session, too, but only
with calls of its own tools.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_ai import DeferredToolResults, ToolApproved, ToolDenied
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_core import from_json

from pais_lite.agent.pause import Found, Pause, find_pause
from pais_lite.agent.request import Approval, RunRequest, ToolResult, text_of
from pais_lite.agent.turn import Turn
from pais_lite.errors import Conflict, InvalidRequest
from pais_lite.events import ToolCall
from pais_lite.memory import Memory, MemoryEvent
from pais_lite.memory.history import model_messages
from pais_lite.telemetry import trace_ids

__all__ = ["Start", "resume"]

_MAX_REASON = 2000


@dataclass(frozen=True, slots=True)
class Start:
    """Where a run begins.

    `turn` are the messages at the end of `history` that belong to the turn that goes on, of which the first `kept` are
    stored with the call `after`, and `context` is what was said up to it. Calls that wait for approval are `approved` or `denied`, as `results` says to Pydantic AI.
    """

    prompt: str | Sequence[UserContent] | None
    history: Sequence[ModelMessage]
    context: Sequence[MemoryEvent]
    turn: Sequence[ModelMessage] = ()
    after: str | None = None
    kept: int = 0
    results: DeferredToolResults | None = None
    approved: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()


async def resume(
    request: RunRequest,
    events: Sequence[MemoryEvent],
    turn: Turn,
    memory: Memory,
    *,
    context_limit: int,
    own_tools: Callable[[], Awaitable[Collection[str]]],
) -> Start:
    """Find the run that the answers in `request` belong to, and write down in the open `turn` that they came.

    `events` are those of the session.

    Raises:
        InvalidRequest: no such call waits in the session, an answer is missing, or it is not what it has to be.
        Conflict: the calls were answered before.
    """
    answers = _by_call(request)
    found = find_pause(events, answers.keys(), context_limit)
    if found is not None:
        return await _from_session(request, memory, turn, found, answers)
    if request.history is None or request.approvals:
        raise _unknown(next(iter(answers)))
    return await _from_messages(request, turn, answers, await own_tools())


async def _from_session(
    request: RunRequest, memory: Memory, place: Turn, found: Found, answers: Mapping[str, str | Approval]
) -> Start:
    pause = found.pause
    results = _matched(pause, answers)
    _check_state(pause, found.state, keeps_history=request.history is not None)
    claims = [_claim(call, results) for call in pause.calls]
    await place.append(claims)
    alone = place.is_exclusive or not pause.asks_approval
    if not alone and not await _was_first(request.session_id, memory, claims[0]):
        raise _answered()
    if request.history is None:
        before: Sequence[ModelMessage] = model_messages(found.before)
    else:
        before = _before_turn(request.history)
    turn = _answered_by_client(pause, results)
    denied = frozenset(
        call_id for call_id, decision in results.approvals.items() if isinstance(decision, ToolDenied)
    )
    return Start(
        None,
        [*before, *turn],
        context=[*found.before, *([found.turn] if found.turn is not None else [])],
        turn=turn,
        after=pause.calls[0].call_id,
        # The last one may have become another: what the client's tools gave is beside what the agent's did.
        kept=len(pause.messages) - 1,
        results=DeferredToolResults(approvals=results.approvals) if results.approvals else None,
        approved=frozenset(results.approvals) - denied,
        denied=denied,
    )


def _answered_by_client(pause: Pause, results: DeferredToolResults) -> list[ModelMessage]:
    """Return the messages of the turn, with what the client's tools gave beside what the agent's own did.

    Told as messages and not as `results`, they need no definitions of the tools, which a client may leave out now.
    """
    returns = [
        ToolReturnPart(call.tool, results.calls[call.call_id], tool_call_id=call.call_id)
        for call in pause.calls
        if call.kind == "client"
    ]
    *others, last = pause.messages
    if isinstance(last, ModelRequest):
        return [*others, replace(last, parts=[*last.parts, *returns])]
    return [*pause.messages, *([ModelRequest(parts=returns)] if returns else [])]


def _by_call(request: RunRequest) -> dict[str, str | Approval]:
    answers: dict[str, str | Approval] = {}
    given: list[ToolResult | Approval] = [*request.tool_results, *request.approvals]
    for answer in given:
        if answer.call_id in answers:
            raise _wrong(f"the call {answer.call_id!r} is answered twice", "duplicate_tool_result")
        answers[answer.call_id] = answer if isinstance(answer, Approval) else answer.content
    return answers


def _matched(pause: Pause, answers: Mapping[str, str | Approval]) -> DeferredToolResults:
    """Return the answers as Pydantic AI takes them; each of the calls has to have one, and no other."""
    results = DeferredToolResults()
    for call in pause.calls:
        answer = answers.get(call.call_id)
        if answer is None:
            raise _wrong(f"the result of the call {call.call_id!r} is missing", "missing_tool_result")
        if call.kind == "approval":
            decision = answer if isinstance(answer, Approval) else _read_decision(call, answer)
            denied = ToolDenied(decision.reason) if decision.reason else ToolDenied()
            results.approvals[call.call_id] = ToolApproved() if decision.approved else denied
        elif isinstance(answer, Approval):
            raise _wrong(
                f"the call {call.call_id!r} waits for a result, not for approval", "invalid_approval"
            )
        else:
            results.calls[call.call_id] = answer
    own = {call.call_id for call in pause.calls}
    if others := [call_id for call_id in answers if call_id not in own]:
        raise _unknown(others[0])
    return results


def _read_decision(call: ToolCall, content: str) -> Approval:
    try:
        decision = from_json(content)
    except ValueError:
        decision = None
    match decision:
        case {"approved": bool() as approved, **others} if others.keys() <= {"reason"}:
            reason = others.get("reason")
            if reason is None or (isinstance(reason, str) and len(reason) <= _MAX_REASON):
                return Approval(call_id=call.call_id, approved=approved, reason=reason)
        case _:
            pass
    raise _wrong(
        f"the call {call.call_id!r} waits for approval, which is "
        '{"approved": true} or {"approved": false, "reason": "…"} and nothing else',
        "invalid_approval",
    )


def _check_state(pause: Pause, state: str, *, keeps_history: bool) -> None:
    """Return when the calls may be answered now.

    What the client ran itself may be told again after a failure, and by a client that keeps the conversation, whenever it
    goes back to that place; a decision counts once.
    """
    repeats = not pause.asks_approval and (keeps_history or state == "failed")
    if state == "waiting" or repeats:
        return
    if state == "moved_on":
        raise Conflict(
            "the conversation has moved on since these tools were called",
            code="already_answered",
            param="messages",
        )
    raise _answered()


def _claim(call: ToolCall, results: DeferredToolResults) -> MemoryEvent:
    content = {"tool": call.tool, "call_id": call.call_id}
    if call.kind == "client":
        result = results.calls[call.call_id]
        return MemoryEvent(
            event_type="tool_result", content={**content, "result": result}, metadata=trace_ids()
        )
    decision = results.approvals[call.call_id]
    verdict: dict[str, Any] = {"approved": True}
    if isinstance(decision, ToolDenied):
        verdict = {"approved": False, "reason": decision.message}
    return MemoryEvent(
        event_type="tool_call",
        content={**content, "arguments": from_json(call.arguments)},
        metadata={**trace_ids(), **verdict},
    )


async def _was_first(session_id: str, memory: Memory, claim: MemoryEvent) -> bool:
    """Return whether nobody else answered at the same moment: of two who did, the session's order knows one as first."""
    for event in await memory.get_events(session_id, event_types=["tool_call", "tool_result"]):
        answers = "approved" in event.metadata or event.event_type == "tool_result"
        if answers and event.content["call_id"] == claim.content["call_id"]:
            return event.event_id == claim.event_id
    # A memory that keeps nothing had no pause either.
    return True


def _before_turn(history: Sequence[ModelMessage]) -> Sequence[ModelMessage]:
    """Return what the client sent of the conversation before the turn that goes on."""
    began = [place for place, message in enumerate(history) if _prompts(message)]
    return history[: began[-1]] if began else ()


def _prompts(message: ModelMessage) -> list[str | Sequence[UserContent]]:
    if not isinstance(message, ModelRequest):
        return []
    return [part.content for part in message.parts if isinstance(part, UserPromptPart)]


async def _from_messages(
    request: RunRequest, place: Turn, answers: Mapping[str, str | Approval], own_tools: Collection[str]
) -> Start:
    """Go on from what the client says was said: another server, or a session since forgotten, made the calls."""
    history = request.history or ()
    last = history[-1] if history else None
    calls = (
        {part.tool_call_id: part for part in last.parts if isinstance(part, ToolCallPart)}
        if isinstance(last, ModelResponse)
        else {}
    )
    offered = {tool.name for tool in request.client_tools}
    parts: list[ToolReturnPart] = []
    for call_id, answer in answers.items():
        call = calls.get(call_id)
        if call is None or isinstance(answer, Approval) or (call.tool_name in own_tools):
            # A tool of the agent's own is run by the agent, or not at all.
            raise _unknown(call_id)
        if offered and call.tool_name not in offered:
            raise _wrong(
                f"the call {call_id!r} is of {call.tool_name!r}, which is none of the tools", "unknown_tool"
            )
        parts.append(ToolReturnPart(call.tool_name, answer, tool_call_id=call_id))
    if missing := [call_id for call_id in calls if call_id not in answers]:
        raise _wrong(f"the result of the call {missing[0]!r} is missing", "missing_tool_result")
    before = _before_turn(history)
    prompts = [prompt for message in history[len(before) :] for prompt in _prompts(message)]
    turn = [
        MemoryEvent(event_type="user_message", content=text_of(prompt), metadata=trace_ids())
        for prompt in prompts
    ]
    events = [*turn]
    for part in parts:
        content = {"tool": part.tool_name, "call_id": part.tool_call_id}
        arguments = calls[part.tool_call_id].args_as_dict()
        events += [
            MemoryEvent(
                event_type="tool_call", content={**content, "arguments": arguments}, metadata=trace_ids()
            ),
            MemoryEvent(
                event_type="tool_result", content={**content, "result": part.content}, metadata=trace_ids()
            ),
        ]
    await place.append(events)
    return Start(
        None,
        [*history, ModelRequest(parts=parts)],
        context=turn,
        turn=[*history[len(before) :], ModelRequest(parts=parts)],
    )


def _unknown(call_id: str) -> InvalidRequest:
    return _wrong(f"no call {call_id!r} waits for an answer in this session", "unknown_tool_call")


def _answered() -> Conflict:
    return Conflict("these tool calls were answered before", code="already_answered", param="messages")


def _wrong(what: str, code: str) -> InvalidRequest:
    return InvalidRequest(f"messages: {what}", param="messages", code=code)
