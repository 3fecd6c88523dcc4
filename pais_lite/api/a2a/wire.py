"""What leaves, in the shape of the version that was asked for: 1.0 as it is, 0.3 told apart by `kind`."""

from collections.abc import Mapping
from typing import Any

from pais_lite.api.a2a.tasks import TERMINAL_STATES
from pais_lite.api.a2a.versions import Version

__all__ = ["event_result", "send_result", "state_in", "task_result"]


def task_result(task: Mapping[str, Any], version: Version) -> Mapping[str, Any]:
    """Return a bare task."""
    return task if version == "1.0" else _task_0_3(task)


def send_result(answer: Mapping[str, Any], version: Version) -> Mapping[str, Any]:
    """Return what a send is answered with: `{"task": …}` or `{"message": …}`, bare in 0.3."""
    return event_result(answer, version)


def event_result(event: Mapping[str, Any], version: Version) -> Mapping[str, Any]:
    """Return an event of a stream: an object with one of `task`, `message`, `statusUpdate`, `artifactUpdate`."""
    if version == "1.0":
        return event
    match event:
        case {"task": task}:
            return _task_0_3(task)
        case {"message": message}:
            return _message_0_3(message)
        case {"statusUpdate": update}:
            state = update["status"]["state"]
            # Whatever the task does next, this stream has had its last event.
            final = state in TERMINAL_STATES or state == "TASK_STATE_INPUT_REQUIRED"
            return {
                "kind": "status-update",
                **update,
                "status": _status_0_3(update["status"]),
                "final": final,
            }
        case {"artifactUpdate": update}:
            return {"kind": "artifact-update", **update, "artifact": _with_parts_0_3(update["artifact"])}
        case _:
            raise ValueError("this is no event of a stream")


def state_in(state: str, version: Version) -> str:
    """Return the name of a state: `input-required` in 0.3, `TASK_STATE_INPUT_REQUIRED` in 1.0."""
    return state if version == "1.0" else state.removeprefix("TASK_STATE_").lower().replace("_", "-")


def _task_0_3(task: Mapping[str, Any]) -> dict[str, Any]:
    found = {"kind": "task", **task, "status": _status_0_3(task["status"])}
    if "artifacts" in task:
        found["artifacts"] = [_with_parts_0_3(artifact) for artifact in task["artifacts"]]
    if "history" in task:
        found["history"] = [_message_0_3(message) for message in task["history"]]
    return found


def _status_0_3(status: Mapping[str, Any]) -> dict[str, Any]:
    found = {**status, "state": state_in(status["state"], "0.3")}
    if "message" in status:
        found["message"] = _message_0_3(status["message"])
    return found


def _message_0_3(message: Mapping[str, Any]) -> dict[str, Any]:
    role = "user" if message["role"] == "ROLE_USER" else "agent"
    return {"kind": "message", **_with_parts_0_3(message), "role": role}


def _with_parts_0_3(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {**holder, "parts": [_part_0_3(part) for part in holder["parts"]]}


def _part_0_3(part: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"metadata": part["metadata"]} if "metadata" in part else {}
    if "text" in part:
        return {"kind": "text", "text": part["text"], **metadata}
    if "data" in part:
        # In 0.3, data is an object.
        data = part["data"] if isinstance(part["data"], Mapping) else {"value": part["data"]}
        return {"kind": "data", "data": data, **metadata}
    file = {"bytes": part["raw"]} if "raw" in part else {"uri": part["url"]}
    if "mediaType" in part:
        file["mimeType"] = part["mediaType"]
    if "filename" in part:
        file["name"] = part["filename"]
    return {"kind": "file", "file": file, **metadata}
