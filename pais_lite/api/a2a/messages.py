"""A message from a client: what it says, and, where a task waits for its client, what that answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pais_lite.agent.request import Approval, ToolResult
from pais_lite.api.a2a.errors import invalid_params, push_not_supported
from pais_lite.api.a2a.fields import (
    known_fields,
    maybe_flag,
    maybe_number,
    maybe_object,
    maybe_text,
    maybe_texts,
    required_text,
)
from pais_lite.api.a2a.parts import Part, read_parts
from pais_lite.api.a2a.versions import Version
from pais_lite.api.fields import read_session_id
from pais_lite.encoding import dump_json
from pais_lite.errors import InvalidRequest
from pais_lite.events import ToolCall

__all__ = ["Answers", "ClientMessage", "SendRequest", "read_answers", "read_send"]

# Larger messages, which are files, are worked on but not kept in the history of their task.
_MAX_KEPT = 64 * 1024
_ROLES = {"0.3": "user", "1.0": "ROLE_USER"}
_YES = re.compile(r"(yes|y|ok|okay|approved?|confirm(ed)?|go ahead)[.!]?", re.IGNORECASE)
_NO = re.compile(r"(no|n|denied|deny|reject(ed)?|cancel)[.!]?", re.IGNORECASE)
_MAX_REASON = 2000


@dataclass(frozen=True, slots=True)
class ClientMessage:
    """A message as it was sent, in the shape of 1.0."""

    message_id: str
    parts: Sequence[Part]
    context_id: str | None
    task_id: str | None
    metadata: Mapping[str, Any]
    others: Mapping[str, Any]

    def to_dict(self, *, task_id: str, context_id: str) -> dict[str, Any] | None:
        """Return the message as the history of its task has it, `None` where it is too large for that."""
        found = {
            "messageId": self.message_id,
            "role": "ROLE_USER",
            "parts": list(self.parts),
            "taskId": task_id,
            "contextId": context_id,
            **({"metadata": dict(self.metadata)} if self.metadata else {}),
            **self.others,
        }
        return found if len(dump_json(found)) <= _MAX_KEPT else None


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A message, and how it is to be answered: whether at once, and with how much of the history."""

    message: ClientMessage
    metadata: Mapping[str, Any]
    at_once: bool
    history_length: int | None


@dataclass(frozen=True, slots=True)
class Answers:
    """What a client says to the calls that wait for it."""

    results: Sequence[ToolResult] = ()
    approvals: Sequence[Approval] = ()


def read_send(params: Mapping[str, Any], version: Version) -> SendRequest:
    """Read the parameters of a send, whole or as a stream.

    Raises:
        RpcError: something is missing or not what it has to be, or push notifications are asked for.
    """
    fields = known_fields(params, "params")
    if "message" not in fields:
        raise invalid_params("is missing", "message")
    configuration = known_fields(fields.get("configuration", {}), "configuration")
    if "pushNotificationConfig" in configuration or "taskPushNotificationConfig" in configuration:
        # A client that is told of nothing would wait for ever.
        raise push_not_supported()
    # Wishes, which an agent is free to follow; this one answers as it does.
    maybe_texts(configuration, "acceptedOutputModes", "configuration.")
    if version == "0.3":
        at_once = maybe_flag(configuration, "blocking", "configuration.") is False
    else:
        at_once = maybe_flag(configuration, "returnImmediately", "configuration.") is True
    return SendRequest(
        message=_read_message(known_fields(fields["message"], "message"), version),
        metadata=maybe_object(fields, "metadata"),
        at_once=at_once,
        history_length=maybe_number(configuration, "historyLength", "configuration."),
    )


def _read_message(fields: Mapping[str, Any], version: Version) -> ClientMessage:
    message_id = required_text(fields, "messageId", "message.")
    if fields.get("role") != _ROLES[version]:
        raise invalid_params(f"has to be {_ROLES[version]}", "message.role")
    if version == "0.3" and fields.get("kind", "message") != "message":
        raise invalid_params("has to be message", "message.kind")
    others: dict[str, Any] = {}
    for name in ("extensions", "referenceTaskIds"):
        if entries := maybe_texts(fields, name, "message."):
            others[name] = entries
    context_id = maybe_text(fields, "contextId", "message.")
    try:
        read_session_id(context_id)
    except InvalidRequest as exc:
        raise invalid_params(
            "has to be 1 to 128 letters, digits, and characters of ._:@-", "message.contextId"
        ) from exc
    return ClientMessage(
        message_id=message_id,
        parts=read_parts(fields.get("parts"), version, "message.parts"),
        context_id=context_id,
        task_id=maybe_text(fields, "taskId", "message."),
        metadata=maybe_object(fields, "metadata", "message."),
        others=others,
    )


def read_answers(parts: Sequence[Part], calls: Sequence[ToolCall]) -> Answers:
    """Read what a message answers to the calls that wait.

    A data part names the call, `{"call_id", "approved", "reason"}` or `{"call_id", "result"}`; where one call waits alone it
    need not. Text answers all calls that no data part does: for one that waits for a result it is the result, for one that
    waits for approval a plain yes approves, and all else denies it and is the reason that the model is told.

    Raises:
        RpcError: a call is named that does not wait, or one that does has no answer.
    """
    waiting = {call.call_id: call for call in calls}
    results: dict[str, ToolResult] = {}
    approvals: dict[str, Approval] = {}
    for at, part in enumerate(parts):
        if "data" in part:
            answer = _read_answer(part["data"], waiting, f"message.parts[{at}].data")
            if answer.call_id in results or answer.call_id in approvals:
                raise invalid_params(
                    f"answers the call {answer.call_id!r} again", f"message.parts[{at}].data"
                )
            if isinstance(answer, Approval):
                approvals[answer.call_id] = answer
            else:
                results[answer.call_id] = answer
    text = "\n".join(part["text"] for part in parts if "text" in part).strip()
    for call in calls:
        if call.call_id in results or call.call_id in approvals:
            continue
        if not text:
            raise invalid_params(f"has no answer to the call {call.call_id!r}", "message.parts")
        if call.kind == "approval":
            approved = _YES.fullmatch(text) is not None
            reason = None if approved or _NO.fullmatch(text) else text[:_MAX_REASON]
            approvals[call.call_id] = Approval(call_id=call.call_id, approved=approved, reason=reason)
        else:
            results[call.call_id] = ToolResult(call_id=call.call_id, content=text)
    return Answers(tuple(results.values()), tuple(approvals.values()))


def _read_answer(data: object, waiting: Mapping[str, ToolCall], path: str) -> ToolResult | Approval:
    fields = data if isinstance(data, Mapping) else {}
    call_id = fields.get("call_id")
    if call_id is None and len(waiting) == 1:
        (call_id,) = waiting
    if not isinstance(call_id, str) or call_id not in waiting:
        raise invalid_params("has to name a call that waits, as call_id", path)
    if waiting[call_id].kind == "approval":
        approved, reason = fields.get("approved"), fields.get("reason")
        if not isinstance(approved, bool) or not (reason is None or isinstance(reason, str)):
            raise invalid_params("has to say approved, true or false, and may give a reason", path)
        return Approval(
            call_id=call_id, approved=approved, reason=None if reason is None else reason[:_MAX_REASON]
        )
    if "result" not in fields:
        raise invalid_params("has to give the result of the call", path)
    result = fields["result"]
    return ToolResult(
        call_id=call_id, content=result if isinstance(result, str) else dump_json(result).decode()
    )
