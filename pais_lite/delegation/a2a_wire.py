"""A task for another agent by A2A over JSON-RPC, as what is sent and what comes back means, in the versions 0.3 and 1.0.

Pure functions over values. As of other answers, nothing is believed, and what has the wrong shape is passed over.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pais_lite.delegation.profile import A2AInterface
from pais_lite.delegation.stream import (
    MAX_ANSWER_CHARACTERS,
    MAX_LINE_BYTES,
    AnswerText,
    maybe_plain_word,
    maybe_progress,
)
from pais_lite.delegation.sub_agent import Task
from pais_lite.encoding import dump_json, maybe_json
from pais_lite.errors import DelegationFailed
from pais_lite.events import Progress

__all__ = ["A2AAnswer", "EventData", "Method", "call_object", "send_params"]

Method = Literal["send", "stream", "get", "cancel"]

_METHODS: Mapping[str, Mapping[Method, str]] = {
    "0.3": {
        "send": "message/send",
        "stream": "message/stream",
        "get": "tasks/get",
        "cancel": "tasks/cancel",
    },
    "1.0": {
        "send": "SendMessage",
        "stream": "SendStreamingMessage",
        "get": "GetTask",
        "cancel": "CancelTask",
    },
}
_PROGRESS = "urn:pais:progress"
_OVER = frozenset({"completed", "failed", "canceled", "rejected", "input-required", "auth-required"})
_WHY = {
    "failed": "it failed while it worked on the task",
    "canceled": "it stopped working on the task",
    "rejected": "it rejected the task",
    "auth-required": "it wants credentials for the task",
}
_MAX_QUESTION = 1000


def call_object(interface: A2AInterface, method: Method, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call."""
    name = _METHODS[interface.version][method]
    return {"jsonrpc": "2.0", "id": secrets.token_hex(8), "method": name, "params": params}


def send_params(task: Task, interface: A2AInterface) -> dict[str, Any]:
    """Return what a task is sent as: one message, in which what was said so far comes before the task."""
    texts = [task.text]
    if task.context:
        said = "\n".join(f"{entry['role']}: {entry['content']}" for entry in task.messages(role="user")[:-1])
        texts.insert(0, f"What was said so far:\n{said}\n\nThe task:")
    if interface.version == "0.3":
        parts = [{"kind": "text", "text": text} for text in texts]
        message = {"kind": "message", "role": "user", "messageId": secrets.token_hex(16), "parts": parts}
        return {"message": message, "configuration": {"blocking": True}}
    message = {
        "role": "ROLE_USER",
        "messageId": secrets.token_hex(16),
        "parts": [{"text": text} for text in texts],
    }
    return {"message": message, "configuration": {"returnImmediately": False}}


class EventData:
    """Takes the bytes of an event stream, and returns the data of the events that they complete."""

    def __init__(self) -> None:
        self._waiting = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes. Raises `DelegationFailed` for an event that is longer than any should be."""
        *lines, self._waiting = (self._waiting + data).split(b"\n")
        found: list[bytes] = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                self._size += len(line)
            elif not line and self._data:
                found.append(b"\n".join(self._data))
                self._data, self._size = [], 0
            if self._size > MAX_LINE_BYTES:
                raise DelegationFailed("its answer could not be read")
        if len(self._waiting) > MAX_LINE_BYTES:
            raise DelegationFailed("its answer could not be read")
        return found


class A2AAnswer:
    """What another agent has answered so far, read from the responses to a send, a stream or a get.

    `task_id` is there once it has named its task, and `is_over` when it works on it no longer.
    """

    def __init__(self) -> None:
        self.task_id: str | None = None
        self._state: str | None = None
        self._artifacts: dict[str, list[str]] = {}
        self._size = 0
        self._message = ""
        self._reason: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self._state in _OVER

    @property
    def has_ended(self) -> bool:
        """Whether the task is over for the other side as well, and waits for nobody."""
        return self.is_over and self._state not in ("input-required", "auth-required")

    def take(self, data: bytes) -> list[AnswerText | Progress]:
        """Take a response, and return what of it is new.

        Raises:
            DelegationFailed: it is an error, or nothing that can be read.
        """
        match maybe_json(data):
            case {"error": {"code": int() as code}}:
                raise DelegationFailed.because("it refused the task", str(code))
            case {"result": {} as result}:
                return self._take(result)
            case _:
                raise DelegationFailed("its answer could not be read")

    def text(self) -> str:
        """Return the answer, once it is over.

        Raises:
            DelegationFailed: there is none; the message says in which way the task ended.
        """
        if self._state == "input-required":
            question = " ".join(self._message.split())[:_MAX_QUESTION]
            raise DelegationFailed(f"it wants to know more before it goes on: {question}".rstrip(": "))
        if self._state in _WHY:
            raise DelegationFailed.because(_WHY[self._state], self._reason)
        answer = "\n\n".join("".join(pieces) for pieces in self._artifacts.values() if pieces)
        return answer or self._message

    def _take(self, result: Mapping[str, Any]) -> list[AnswerText | Progress]:
        # In 0.3 the `kind` says what it is, in 1.0 the only key.
        match result:
            case {"kind": "task"} | {"id": str(), "status": {}}:
                return self._take_task(result)
            case {"kind": "message", "parts": [*parts]} | {"message": {"parts": [*parts]}}:
                self._state, self._message = "completed", self._counted(_text(parts))
                return [AnswerText(self._message)] if self._message else []
            case {"task": {} as task}:
                return self._take_task(task)
            case {"kind": "status-update"}:
                return self._take_status(result)
            case {"statusUpdate": {} as update}:
                return self._take_status(update)
            case {"kind": "artifact-update"}:
                return self._take_artifact(result)
            case {"artifactUpdate": {} as update}:
                return self._take_artifact(update)
            case _:
                return []

    def _take_task(self, task: Mapping[str, Any]) -> list[AnswerText | Progress]:
        if isinstance(task.get("id"), str):
            self.task_id = task["id"]
        events = self._take_status(task)
        artifacts = task.get("artifacts")
        for artifact in artifacts if isinstance(artifacts, list) else []:
            # All of it, once more: a task is told whole.
            events += self._take_artifact({"artifact": artifact})
        return events

    def _take_status(self, update: Mapping[str, Any]) -> list[AnswerText | Progress]:
        match update.get("status"):
            case {"state": str() as state, **others}:
                self._state = state.removeprefix("TASK_STATE_").lower().replace("_", "-")
            case _:
                return []
        match others.get("message"):
            case {"parts": [*parts], **told}:
                self._message = _text(parts)[:MAX_ANSWER_CHARACTERS]
                metadata = told.get("metadata")
                code = metadata.get("code") if isinstance(metadata, Mapping) else None
                self._reason = maybe_plain_word(code)
            case _:
                self._message = ""
        metadata = update.get("metadata")
        details = metadata.get(_PROGRESS) if isinstance(metadata, Mapping) else None
        progress = maybe_progress(details)
        return [progress] if progress is not None else []

    def _take_artifact(self, update: Mapping[str, Any]) -> list[AnswerText | Progress]:
        match update.get("artifact"):
            case {"artifactId": str() as artifact_id, "parts": [*parts]}:
                text = _text(parts)
            case _:
                return []
        pieces = self._artifacts.setdefault(artifact_id, [])
        if update.get("append") is not True:
            known = "".join(pieces)
            if text.startswith(known):
                # Told whole once more, perhaps with more of it.
                text = text.removeprefix(known)
            else:
                pieces.clear()
        if not text:
            return []
        pieces.append(self._counted(text))
        return [AnswerText(text)]

    def _counted(self, text: str) -> str:
        self._size += len(text)
        if self._size > MAX_ANSWER_CHARACTERS:
            raise DelegationFailed("its answer is too long")
        return text


def _text(parts: Sequence[object]) -> str:
    """Return parts as a model can read them: text, the JSON of data, and the names of files."""
    return "".join(_part_text(part) for part in parts)


def _part_text(part: object) -> str:
    match part:
        case {"text": str() as text}:
            return text
        case {"data": data}:
            return dump_json(data).decode()
        case {"file": {"uri": str() as url}} | {"url": str() as url}:
            return f"[file {url}]"
        case {"file": {"bytes": str(), **file}}:
            return f"[file {file.get('name') or file.get('mimeType') or ''}]".replace(" ]", "]")
        case {"raw": str(), **file}:
            return f"[file {file.get('filename') or file.get('mediaType') or ''}]".replace(" ]", "]")
        case _:
            return ""
