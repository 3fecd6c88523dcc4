"""Answers of other agents, read from bytes. Any bytes give events, a wish for more, or `DelegationFailed`."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pais_lite.delegation.stream import (
    MAX_ANSWER_CHARACTERS,
    MAX_LINE_BYTES,
    AnswerEvent,
    AnswerFailed,
    AnswerReader,
    AnswerText,
    error_code,
    read_completion,
    read_usage,
)
from pais_lite.errors import DelegationFailed
from pais_lite.events import Hop, Progress, Usage


def chunk(content: str | None = None, **fields: Any) -> bytes:
    delta = {} if content is None else {"content": content}
    choices = [{"index": 0, "delta": delta, "finish_reason": fields.pop("finish_reason", None)}]
    return b"data: " + json.dumps({"choices": choices, **fields}).encode() + b"\n\n"


def report(**fields: Any) -> dict[str, Any]:
    return {
        "type": "progress",
        "step": 1,
        "max_steps": 5,
        "action": "tool_call",
        "target": "look",
        "call_id": "c1",
        "status": "started",
        **fields,
    }


USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}
STREAM = b"".join(
    [
        b": keepalive\n",
        chunk(""),
        chunk("Let me look. "),
        chunk(progress=report()),
        chunk(progress=report(status="completed", duration_ms=7)),
        chunk(progress=report(action="delegate", target="x", path=[{"agent": "w", "call_id": "c9"}])),
        chunk("Grüß "),
        chunk("Gott 😀"),
        chunk(finish_reason="stop"),
        b'data: {"choices": [], "usage": ' + json.dumps(USAGE).encode() + b"}\r\n\r\n",
        b"data: [DONE]\n\n",
    ]
)


def text_of(events: list[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, AnswerText))


@pytest.mark.parametrize("size", [1, 7, 100, len(STREAM)])
def test_stream_is_the_same_however_it_is_cut(size: int) -> None:
    reader = AnswerReader()
    events: list[AnswerEvent] = []
    for start in range(0, len(STREAM), size):
        events += reader.feed(STREAM[start : start + size])
    assert text_of(events) == "Let me look. Grüß Gott 😀"
    assert reader.text == "Grüß Gott 😀"
    assert reader.usage == Usage(input_tokens=3, output_tokens=4, cached_tokens=2)
    assert reader.ended
    steps = [event for event in events if isinstance(event, Progress)]
    assert [step.status for step in steps] == ["started", "completed", "started"]
    assert steps[1].duration_ms == 7
    assert steps[2].path == (Hop("w", "c9"),)


def test_progress_that_poses_as_text_is_progress() -> None:
    reader = AnswerReader()
    details = {"type": "progress", "step": 1, "max_steps": 5, "action": "tool_call", "target": "look"}
    (event,) = reader.feed(chunk("Hm. ") + chunk(json.dumps(details)) + chunk("Found."))[1:2]
    assert isinstance(event, Progress)
    assert (event.target, event.status) == ("look", "started")
    assert reader.text == "Found."


def test_pieces_of_text_that_come_together_are_one() -> None:
    assert AnswerReader().feed(chunk("a") + chunk("b")) == [AnswerText("ab")]


def test_stream_that_just_stops_has_not_ended() -> None:
    reader = AnswerReader()
    reader.feed(chunk("Once upon"))
    assert not reader.ended


def test_error_in_the_stream_tells_its_code_and_nothing_else() -> None:
    error = {"message": "http://10.0.0.1/secret blew up", "code": "max_steps_exceeded"}
    data = b"data: " + json.dumps({"error": error}).encode() + b"\n\n"
    assert AnswerReader().feed(data) == [AnswerFailed("max_steps_exceeded")]


@pytest.mark.parametrize("code", [None, 500, "no word", "x" * 65, "a:b", {"a": 1}])
def test_code_that_is_no_plain_word_is_not_passed_on(code: Any) -> None:
    assert error_code(json.dumps({"error": {"code": code}}).encode()) is None


@pytest.mark.parametrize(
    "details",
    [
        None,
        "progress",
        {},
        report(action="rm"),
        report(status="?"),
        report(target=None),
        report(path="x"),
        report(path=[{"agent": 1}]),
        report(path=[{"agent": "a", "call_id": "c"}] * 101),
    ],
)
def test_progress_of_the_wrong_shape_is_passed_over(details: Any) -> None:
    assert AnswerReader().feed(chunk(progress=details)) == []


def test_answers_without_end_are_given_up() -> None:
    with pytest.raises(DelegationFailed):
        AnswerReader().feed(b"data: " + b"x" * MAX_LINE_BYTES)
    reader = AnswerReader()
    for _ in range(10):
        reader.feed(chunk("x" * (MAX_ANSWER_CHARACTERS // 10)))
    with pytest.raises(DelegationFailed, match="too long"):
        reader.feed(chunk("x" * 100))


def test_answer_that_came_whole() -> None:
    body = {"choices": [{"message": {"content": "Hello."}}], "usage": USAGE}
    data = json.dumps(body).encode()
    assert read_completion(data) == "Hello."
    assert read_usage(data) == Usage(input_tokens=3, output_tokens=4, cached_tokens=2)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"choices": []}', b'{"choices":[{"message":{}}]}'])
def test_whole_answer_without_text_is_none(body: bytes) -> None:
    with pytest.raises(DelegationFailed):
        read_completion(body)


KEYS = st.sampled_from(["choices", "delta", "content", "usage", "progress", "path", "error", "code", "type"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.binary(max_size=30) | JSON.map(lambda v: b"data: " + json.dumps(v).encode()), max_size=8))
def test_any_lines_give_events_or_nothing(lines: list[bytes]) -> None:
    AnswerReader().feed(b"\n".join(lines) + b"\n")


@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_any_chunk_gives_events_or_nothing(value: dict[str, Any]) -> None:
    AnswerReader().feed(b"data: " + json.dumps(value).encode() + b"\n")
