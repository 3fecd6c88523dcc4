"""A run that waits for its client: what of it is stored in the session, and how it is found there again.

A pause is written into the `metadata` of the last of the `tool_call` events that wait, so one append stores all of it,
and it lives where the session does: over restarts, on every replica, for its owner alone. Of a turn that pauses many
times, each pause stores what is new since the one before, or the fiftieth would hold fifty times as much. The calls have ids of this
package's own making. Those of models may repeat themselves; these never do, so an answer can mean one call only. In a
session that the client did not name, and so cannot name again, they also say which session it is.
"""

import base64
import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ToolCallPart,
)
from pydantic_core import from_json

from pais_lite.events import CallKind, ToolCall
from pais_lite.memory import MemoryEvent

__all__ = [
    "PAUSE_KEY",
    "Found",
    "Pause",
    "find_pause",
    "maybe_session_of",
    "new_call_id",
    "new_session_id",
    "turn_so_far",
    "waiting_events",
]

# The key in the metadata of an event. What it holds is for this package: it repeats the system prompt.
PAUSE_KEY = "pause"
_TURNS = ("user_message", "task_delegation_received")
_OWN_SESSION = re.compile(r"session_([0-9a-f]{32})")
# 35 characters: the OpenAI API takes no id of more than 40.
_CALL_OF_SESSION = re.compile(r"call_([A-Za-z0-9_-]{22})[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Pause:
    """The calls that wait, and all messages of the turn so far, the user's included.

    The first `kept` of these are those of the pause before in the same turn, one of whose calls is `after`.
    """

    calls: tuple[ToolCall, ...]
    messages: Sequence[ModelMessage]
    after: str | None = None
    kept: int = 0

    @property
    def asks_approval(self) -> bool:
        """Whether one of the calls waits for approval."""
        return any(call.kind == "approval" for call in self.calls)


@dataclass(frozen=True, slots=True)
class Found:
    """A pause that was found in a session.

    `before` is what was said before its turn, and `turn` the event of that turn, where it is still there.
    It is `waiting` when nobody has answered, `failed` when the run that went on with the answers did, `moved_on` when
    the conversation is past it, and else `answered`.
    """

    pause: Pause
    before: Sequence[MemoryEvent]
    turn: MemoryEvent | None
    state: Literal["waiting", "answered", "failed", "moved_on"]


def new_session_id() -> str:
    """Return an id for a session that the client gave no name."""
    return f"session_{secrets.token_hex(16)}"


def new_call_id(session_id: str) -> str:
    """Return an id for a call that is handed to the client."""
    own = _OWN_SESSION.fullmatch(session_id)
    if own is None:
        return f"call_{secrets.token_hex(12)}"
    session = base64.urlsafe_b64encode(bytes.fromhex(own[1])).rstrip(b"=").decode()
    return f"call_{session}{secrets.token_hex(4)}"


def maybe_session_of(call_id: str) -> str | None:
    """Return the session that a call was made in, where its id says so."""
    found = _CALL_OF_SESSION.fullmatch(call_id)
    return None if found is None else f"session_{base64.urlsafe_b64decode(found[1] + '==').hex()}"


def turn_so_far(messages: Sequence[ModelMessage], call_ids: Mapping[str, str]) -> list[ModelMessage]:
    """Return the messages of a turn as they are stored: with our ids of the calls, without the agent's instructions.

    `call_ids` are ours by the model's; the calls are in the last answer of the model.
    """
    last = max(place for place, message in enumerate(messages) if isinstance(message, ModelResponse))
    return [_stored(message, call_ids if place == last else {}) for place, message in enumerate(messages)]


def _stored(message: ModelMessage, call_ids: Mapping[str, str]) -> ModelMessage:
    if isinstance(message, ModelRequest):
        # Every run works its instructions out anew.
        return replace(message, instructions=None)
    parts = [
        replace(part, tool_call_id=call_ids[part.tool_call_id])
        if isinstance(part, ToolCallPart) and part.tool_call_id in call_ids
        else part
        for part in message.parts
    ]
    return replace(message, parts=parts)


def waiting_events(pause: Pause, metadata: Mapping[str, Any]) -> list[MemoryEvent]:
    """Return the events that say which calls wait."""
    stored = {
        "calls": [
            {"call_id": call.call_id, "tool": call.tool, "arguments": call.arguments, "kind": call.kind}
            for call in pause.calls
        ],
        "messages": ModelMessagesTypeAdapter.dump_python([*pause.messages[pause.kept :]], mode="json"),
        **({"after": pause.after, "kept": pause.kept} if pause.after is not None else {}),
    }
    return [
        MemoryEvent(
            event_type="tool_call",
            content={"tool": call.tool, "call_id": call.call_id, "arguments": from_json(call.arguments)},
            metadata={
                **metadata,
                "waits_for": call.kind,
                **({PAUSE_KEY: stored} if call is pause.calls[-1] else {}),
            },
        )
        for call in pause.calls
    ]


def find_pause(events: Sequence[MemoryEvent], call_ids: Collection[str], context_limit: int) -> Found | None:
    """Find the pause that one of these calls belongs to among the events of a session, oldest first."""
    for place in range(len(events) - 1, -1, -1):
        stored = events[place].metadata.get(PAUSE_KEY)
        if stored is None or not any(call["call_id"] in call_ids for call in stored["calls"]):
            continue
        pause = _maybe_whole(stored, events[:place])
        if pause is None:
            return None
        began = next((at for at in range(place, -1, -1) if events[at].event_type in _TURNS), None)
        said = [
            event
            for event in events[:began]
            if event.event_type in _TURNS or event.event_type == "agent_response"
        ]
        return Found(
            pause,
            before=said[-context_limit:] if context_limit and began is not None else (),
            turn=None if began is None else events[began],
            state=_state(pause, events[place + 1 :]),
        )
    return None


def _maybe_whole(stored: Mapping[str, Any], earlier: Sequence[MemoryEvent]) -> Pause | None:
    """Return a pause with the messages of those before it, `None` where they are no longer kept."""
    pieces = [stored]
    for event in reversed(earlier):
        found = event.metadata.get(PAUSE_KEY)
        wanted = pieces[-1].get("after")
        if wanted is None:
            break
        if found is not None and any(call["call_id"] == wanted for call in found["calls"]):
            pieces.append(found)
    if pieces[-1].get("after") is not None:
        return None
    messages: list[Any] = []
    for piece in reversed(pieces):
        messages = [*messages[: piece.get("kept", 0)], *piece["messages"]]
    calls = tuple(
        ToolCall(
            call_id=call["call_id"],
            tool=call["tool"],
            arguments=call["arguments"],
            kind=cast("CallKind", call["kind"]),
        )
        for call in stored["calls"]
    )
    return Pause(calls, ModelMessagesTypeAdapter.validate_python(messages))


def _state(
    pause: Pause, later: Sequence[MemoryEvent]
) -> Literal["waiting", "answered", "failed", "moved_on"]:
    own = {call.call_id for call in pause.calls}
    answered = failed = False
    for event in later:
        if event.event_type in _TURNS or event.event_type == "agent_response" or PAUSE_KEY in event.metadata:
            return "moved_on"
        if event.event_type in ("tool_call", "tool_result") and event.content["call_id"] in own:
            answered, failed = True, False
        elif event.event_type == "error":
            failed = answered
    return "failed" if failed else "answered" if answered else "waiting"
