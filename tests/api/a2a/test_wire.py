"""What leaves, in the shape of 0.3."""

from typing import Any

import pytest

from pais_lite.api.a2a.wire import event_result, state_in

STATUS = {"state": "TASK_STATE_WORKING", "timestamp": "2026-01-01T00:00:00.000Z"}
IDS = {"taskId": "t", "contextId": "c"}


def status_update(state: str) -> dict[str, Any]:
    return {"statusUpdate": {**IDS, "status": {"state": state}}}


@pytest.mark.parametrize(
    ("state", "final"),
    [
        ("TASK_STATE_WORKING", False),
        ("TASK_STATE_INPUT_REQUIRED", True),
        ("TASK_STATE_COMPLETED", True),
        ("TASK_STATE_FAILED", True),
        ("TASK_STATE_CANCELED", True),
        ("TASK_STATE_REJECTED", True),
    ],
)
def test_update_of_a_status_says_whether_it_is_the_last(state: str, final: bool) -> None:
    found = event_result(status_update(state), "0.3")
    assert found == {
        "kind": "status-update",
        **IDS,
        "status": {"state": state_in(state, "0.3")},
        "final": final,
    }
    assert event_result(status_update(state), "1.0") == status_update(state)


def test_task_with_all_that_it_may_hold() -> None:
    sent = {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "Hi.", "metadata": {"a": 1}}]}
    asked = {"messageId": "n", "role": "ROLE_AGENT", "parts": [{"data": [1]}]}
    task = {
        "id": "t",
        "contextId": "c",
        "status": {**STATUS, "message": asked},
        "artifacts": [{"artifactId": "answer", "parts": [{"raw": "eA=="}]}],
        "history": [sent],
    }
    assert event_result({"task": task}, "0.3") == {
        "kind": "task",
        "id": "t",
        "contextId": "c",
        "status": {
            "state": "working",
            "timestamp": STATUS["timestamp"],
            "message": {
                "kind": "message",
                "messageId": "n",
                "role": "agent",
                # In 0.3, data is an object.
                "parts": [{"kind": "data", "data": {"value": [1]}}],
            },
        },
        "artifacts": [{"artifactId": "answer", "parts": [{"kind": "file", "file": {"bytes": "eA=="}}]}],
        "history": [
            {
                "kind": "message",
                "messageId": "m",
                "role": "user",
                "parts": [{"kind": "text", "text": "Hi.", "metadata": {"a": 1}}],
            }
        ],
    }


def test_what_is_no_event_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no event"):
        event_result({"something": {}}, "0.3")
