"""A task for another agent by A2A: what is sent, and what comes back, read from bytes."""

import json
from typing import Any, Literal

import pytest

from pais_lite.delegation import AnswerText, Task
from pais_lite.delegation.a2a_wire import A2AAnswer, EventData, call_object, send_params
from pais_lite.delegation.profile import A2AInterface
from pais_lite.errors import DelegationFailed
from pais_lite.events import Progress
from pais_lite.memory import MemoryEvent

STREAM = b': hello\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: x\ndata:2\n\ndata: 3\n'


def interface(version: Literal["0.3", "1.0"]) -> A2AInterface:
    return A2AInterface("http://h/", version, streams=True)


def take(answer: A2AAnswer, result: Any) -> list[Any]:
    return list(answer.take(json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()))


def task(state: str, **fields: Any) -> dict[str, Any]:
    return {"id": "t", "contextId": "c", "status": {"state": state}, **fields}


def artifact(text: str, **fields: Any) -> dict[str, Any]:
    return {"taskId": "t", "artifact": {"artifactId": "a", "parts": [{"text": text}]}, **fields}


def test_what_was_said_comes_before_the_task() -> None:
    context = [
        MemoryEvent(event_type="user_message", content="Hi."),
        MemoryEvent(event_type="agent_response", content="Hello."),
    ]
    asked = Task(text="Help.", seconds=1, owner="user", context=context)
    new, old = send_params(asked, interface("1.0")), send_params(asked, interface("0.3"))
    texts = ["What was said so far:\nuser: Hi.\nassistant: Hello.\n\nThe task:", "Help."]
    assert [part["text"] for part in new["message"]["parts"]] == texts
    assert [part["text"] for part in old["message"]["parts"]] == texts
    assert (new["message"]["role"], old["message"]["role"]) == ("ROLE_USER", "user")
    assert (new["configuration"], old["configuration"]) == ({"returnImmediately": False}, {"blocking": True})
    alone = send_params(Task(text="Help.", seconds=1, owner="user"), interface("1.0"))
    assert alone["message"]["parts"] == [{"text": "Help."}]


def test_methods_have_the_names_of_their_version() -> None:
    assert call_object(interface("0.3"), "get", {"id": "t"})["method"] == "tasks/get"
    assert call_object(interface("1.0"), "get", {"id": "t"})["method"] == "GetTask"


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_events_in_pieces_of_any_size(size: int) -> None:
    events = EventData()
    found: list[bytes] = []
    for place in range(0, len(STREAM), size):
        found += events.feed(STREAM[place : place + size])
    assert found == [b'{"a":\n1}', b"2"]
    assert events.feed(b"\n") == [b"3"]


def test_event_that_never_ends() -> None:
    with pytest.raises(DelegationFailed, match="could not be read"):
        EventData().feed(b"data: " + b"x" * (1024 * 1024 + 1))


def test_stream_of_1_0() -> None:
    answer = A2AAnswer()
    assert take(answer, {"task": task("TASK_STATE_SUBMITTED")}) == []
    assert answer.task_id == "t"
    details = {"type": "progress", "action": "tool_call", "target": "look", "status": "started"}
    working = {"status": {"state": "TASK_STATE_WORKING"}, "metadata": {"urn:pais:progress": details}}
    (step,) = take(answer, {"statusUpdate": working})
    assert isinstance(step, Progress)
    assert take(answer, {"artifactUpdate": artifact("Let me see.")}) == [AnswerText("Let me see.")]
    assert take(answer, {"artifactUpdate": artifact("One", append=False)}) == [AnswerText("One")]
    assert take(answer, {"artifactUpdate": artifact(" two", append=True)}) == [AnswerText(" two")]
    assert take(answer, {"artifactUpdate": artifact("", append=True, lastChunk=True)}) == []
    over = [answer.is_over, answer.has_ended]
    assert take(answer, {"statusUpdate": {"status": {"state": "TASK_STATE_COMPLETED"}}}) == []
    assert [*over, answer.is_over, answer.has_ended] == [False, False, True, True]
    assert answer.text() == "One two"


def test_stream_of_0_3_that_is_asked_for_after_it_broke_off() -> None:
    answer = A2AAnswer()
    take(answer, {"kind": "task", **task("submitted")})
    take(answer, {"kind": "artifact-update", **artifact("One")})
    whole = [{"artifactId": "a", "parts": [{"kind": "text", "text": "One two"}]}]
    assert take(answer, {"kind": "task", **task("completed", artifacts=whole)}) == [AnswerText(" two")]
    assert answer.text() == "One two"


@pytest.mark.parametrize(
    "result",
    [
        {"kind": "message", "role": "agent", "parts": [{"kind": "text", "text": "Hi."}]},
        {"message": {"role": "ROLE_AGENT", "parts": [{"text": "Hi."}]}},
        task("completed", status={"state": "completed", "message": {"parts": [{"text": "Hi."}]}}),
    ],
)
def test_answer_that_is_a_message(result: Any) -> None:
    answer = A2AAnswer()
    take(answer, result)
    assert (answer.is_over, answer.text()) == (True, "Hi.")


def test_parts_that_are_no_text() -> None:
    parts = [
        {"data": {"a": 1}},
        {"raw": "eA==", "filename": "a.txt"},
        {"kind": "file", "file": {"uri": "https://e.com/b"}},
        {"kind": "file", "file": {"bytes": "eA==", "mimeType": "image/png"}},
        {"strange": 1},
        3,
    ]
    answer = A2AAnswer()
    take(answer, task("completed", artifacts=[{"artifactId": "a", "parts": parts}]))
    assert answer.text() == '{"a":1}[file a.txt][file https://e.com/b][file image/png]'


@pytest.mark.parametrize(
    "artifacts", [3, "artifact", {"artifactId": "a"}, [3, {"parts": 3}, {"artifactId": "a"}]]
)
def test_artifacts_that_are_none_are_passed_over(artifacts: Any) -> None:
    answer = A2AAnswer()
    assert take(answer, task("completed", artifacts=artifacts)) == []
    assert (answer.is_over, answer.text()) == (True, "")


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"state": "failed"}, "it failed while it worked on the task"),
        (
            {"state": "TASK_STATE_FAILED", "message": {"parts": [], "metadata": {"code": "run_timeout"}}},
            "it failed while it worked on the task (run_timeout)",
        ),
        ({"state": "rejected"}, "it rejected the task"),
        ({"state": "canceled"}, "it stopped working on the task"),
        ({"state": "auth-required"}, "it wants credentials for the task"),
        (
            {"state": "input-required", "message": {"parts": [{"text": "Which\none?"}]}},
            "it wants to know more before it goes on: Which one?",
        ),
    ],
)
def test_tasks_without_an_answer(status: Any, says: str) -> None:
    answer = A2AAnswer()
    take(answer, {**task("working"), "status": status})
    assert answer.is_over
    with pytest.raises(DelegationFailed) as caught:
        answer.text()
    assert caught.value.message == says


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<html>", "its answer could not be read"),
        (b"[" * 100_000, "its answer could not be read"),
        (b"[]", "its answer could not be read"),
        (b'{"result": 3}', "its answer could not be read"),
        (b'{"error": {"code": -32004, "message": "at 10.0.0.1"}}', "it refused the task (-32004)"),
    ],
)
def test_responses_that_are_none(data: bytes, says: str) -> None:
    with pytest.raises(DelegationFailed) as caught:
        A2AAnswer().take(data)
    assert caught.value.message == says


def test_answer_that_is_too_long() -> None:
    answer = A2AAnswer()
    for _ in range(2):
        take(answer, {"artifactUpdate": artifact("x" * 500_000, append=True)})
    with pytest.raises(DelegationFailed, match="too long"):
        take(answer, {"artifactUpdate": artifact("x" * 500_000, append=True)})
