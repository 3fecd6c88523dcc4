"""A task, as it is told to clients: a pure function of the records of its runs. Everything has the shape of 1.0.

Most tasks are one run. One that waited for its client is several, the first of which gives it its id, and whose details
list the later ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from pydantic_core import from_json

from pais_lite.api.a2a.parts import answer_parts
from pais_lite.errors import CallerError, RunCancelled
from pais_lite.events import Failed, Finished, ToolCall
from pais_lite.runs import RunRecord

__all__ = [
    "ANSWER_ID",
    "STATES",
    "TERMINAL_STATES",
    "Task",
    "TaskState",
    "direct_message",
    "run_state",
    "status_object",
    "task_object",
    "timestamp",
]

TaskState = Literal[
    "TASK_STATE_SUBMITTED",
    "TASK_STATE_WORKING",
    "TASK_STATE_COMPLETED",
    "TASK_STATE_FAILED",
    "TASK_STATE_CANCELED",
    "TASK_STATE_INPUT_REQUIRED",
    "TASK_STATE_REJECTED",
]
# Those that there are in the protocol; no task of ours is in the last.
STATES: frozenset[str] = frozenset({*get_args(TaskState), "TASK_STATE_AUTH_REQUIRED"})
TERMINAL_STATES = frozenset(
    {"TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED", "TASK_STATE_REJECTED"}
)
# A task has one artifact: its answer.
ANSWER_ID = "answer"


@dataclass(frozen=True, slots=True)
class Task:
    """The runs of a task in their order, never none. `canceled_at` is there where it was canceled between two of them."""

    turns: tuple[RunRecord, ...]
    canceled_at: datetime | None = None

    @property
    def id(self) -> str:
        """The id of the task, which is that of its first run."""
        return self.turns[0].run_id

    @property
    def context_id(self) -> str:
        """The session."""
        return self.turns[0].session_id

    @property
    def owner(self) -> str:
        """Whose it is."""
        return self.turns[0].owner

    @property
    def last(self) -> RunRecord:
        """The run that it is about now."""
        return self.turns[-1]

    @property
    def state(self) -> TaskState:
        """The state that it is in."""
        return "TASK_STATE_CANCELED" if self.canceled_at is not None else run_state(self.last)

    @property
    def has_ended(self) -> bool:
        """Whether its state is a final one."""
        return self.state in TERMINAL_STATES

    @property
    def changed_at(self) -> datetime:
        """When it came into its state."""
        return self.canceled_at or self.last.updated_at

    @property
    def waiting_calls(self) -> Sequence[ToolCall]:
        """The calls that wait for the client."""
        ending = self.last.ending
        return ending.tool_calls if isinstance(ending, Finished) else ()

    def with_last(self, record: RunRecord) -> "Task":
        """Return the task with a newer record of its last run."""
        return replace(self, turns=(*self.turns[:-1], record))


def run_state(record: RunRecord) -> TaskState:
    """Return the state of a task whose last run this is."""
    match record.ending:
        case None:
            return "TASK_STATE_SUBMITTED" if record.status == "queued" else "TASK_STATE_WORKING"
        case Finished(finish_reason="tool_calls"):
            return "TASK_STATE_INPUT_REQUIRED"
        case Finished(finish_reason="content_filter"):
            return "TASK_STATE_REJECTED"
        case Finished():
            return "TASK_STATE_COMPLETED"
        case Failed(error=RunCancelled()):
            return "TASK_STATE_CANCELED"
        case Failed(error=CallerError()):
            # What was asked for is at fault, not the agent.
            return "TASK_STATE_REJECTED"
        case Failed():
            return "TASK_STATE_FAILED"


def task_object(task: Task, *, history_length: int | None = None, artifacts: bool = True) -> dict[str, Any]:
    """Return a task with the latest `history_length` messages of its history, all with `None`."""
    found: dict[str, Any] = {"id": task.id, "contextId": task.context_id, "status": _status(task)}
    if artifacts and (answer := _maybe_artifact(task)) is not None:
        found["artifacts"] = [answer]
    history = _history(task)
    if history_length is not None:
        history = history[-history_length:] if history_length else []
    if history:
        found["history"] = history
    return found


def direct_message(record: RunRecord, finished: Finished) -> dict[str, Any]:
    """Return an answer as a message that belongs to no task."""
    return {
        "messageId": f"{record.run_id}-answer",
        "contextId": record.session_id,
        "role": "ROLE_AGENT",
        "parts": answer_parts(finished) or [{"text": ""}],
    }


def timestamp(moment: datetime) -> str:
    """Return a moment as ProtoJSON has it, in milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _status(task: Task) -> dict[str, Any]:
    if task.canceled_at is not None:
        return {"state": task.state, "timestamp": timestamp(task.canceled_at)}
    return status_object(task.last, task_id=task.id)


def status_object(record: RunRecord, *, task_id: str) -> dict[str, Any]:
    """Return the status of a task whose last run this is."""
    found: dict[str, Any] = {"state": run_state(record), "timestamp": timestamp(record.updated_at)}
    if (message := _maybe_status_message(record, task_id)) is not None:
        found["message"] = message
    return found


def _maybe_status_message(record: RunRecord, task_id: str) -> dict[str, Any] | None:
    metadata: dict[str, Any] = {}
    match record.ending:
        case Finished(finish_reason="tool_calls", tool_calls=calls):
            parts: list[dict[str, Any]] = [
                {"text": "\n".join(_asked(call) for call in calls)},
                {"data": {"calls": [_call_object(call) for call in calls]}, "mediaType": "application/json"},
            ]
        case Finished(finish_reason="length"):
            parts = [{"text": "The answer was cut off at the most tokens that the model may give."}]
        case Finished(finish_reason="content_filter"):
            parts = [{"text": "The model's content filter held the answer back."}]
        case Failed(error=error):
            parts = [{"text": error.message}]
            metadata = {"code": error.code} if error.code else {}
        case _:
            return None
    return {
        "messageId": f"{record.run_id}-status",
        "taskId": task_id,
        "contextId": record.session_id,
        "role": "ROLE_AGENT",
        "parts": parts,
        **({"metadata": metadata} if metadata else {}),
    }


def _asked(call: ToolCall) -> str:
    if call.kind == "approval":
        return f"May {call.tool} be called with {call.arguments}? Answer yes, or no and why."
    return f"The result of {call.tool} with {call.arguments} is needed."


def _call_object(call: ToolCall) -> dict[str, Any]:
    return {
        "call_id": call.call_id,
        "tool": call.tool,
        "arguments": from_json(call.arguments),
        "waits_for": "approval" if call.kind == "approval" else "result",
    }


def _maybe_artifact(task: Task) -> dict[str, Any] | None:
    for record in reversed(task.turns):
        if isinstance(record.ending, Finished) and (parts := answer_parts(record.ending)):
            return {"artifactId": ANSWER_ID, "parts": parts}
    return None


def _history(task: Task) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = []
    for at, record in enumerate(task.turns):
        if (sent := record.details.get("message")) is not None:
            history.append(dict(sent))
        # What the task asked for goes on in its history once it has been answered.
        if at < len(task.turns) - 1 and (asked := _maybe_status_message(record, task.id)) is not None:
            history.append(asked)
    return history
