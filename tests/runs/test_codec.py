"""Every event comes back as it was, and what is not known becomes what is nearest to it."""

import json

import pytest

from pais_lite import errors
from pais_lite.errors import DependencyError, ModelUnavailable, RunFailed
from pais_lite.events import Failed, Finished, Hop, Progress, RunEvent, TextDelta, ThinkingDelta, Usage
from pais_lite.resp import ConnectionFailed
from pais_lite.runs.codec import decode_event, decode_events, encode_event, encode_events

USAGE = Usage(input_tokens=1, output_tokens=2, cached_tokens=3, reasoning_tokens=4)
STEP = Progress(step=1, max_steps=5, action="tool_call", target="t", call_id="c", status="started")
EVENTS: list[RunEvent] = [
    TextDelta("日本 🎉\x00\r\n"),
    TextDelta("\ud83d"),
    ThinkingDelta(""),
    STEP,
    Progress(
        step=2,
        max_steps=5,
        action="delegate",
        target="w",
        call_id="d",
        status="running",
        duration_ms=7,
        delta="x",
        path=(Hop("a", "1"), Hop("b", "2")),
    ),
    Finished(output="done", finish_reason="length", usage=USAGE),
]


def test_events_come_back_as_they_were() -> None:
    assert decode_events(encode_events(EVENTS)) == EVENTS
    assert decode_events(encode_events([])) == []


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_comes_back_as_it_was(name: str) -> None:
    error = getattr(errors, name)("what was wrong", code="a_code", param="a.param")
    back = decode_event(encode_event(Failed(error=error, usage=USAGE)))
    assert isinstance(back, Failed)
    assert type(back.error) is type(error)
    assert (back.error.message, back.error.code, back.error.param) == ("what was wrong", "a_code", "a.param")
    assert back.usage == USAGE


def test_code_of_the_class_is_kept_where_the_error_has_none_of_its_own() -> None:
    back = decode_event(encode_event(Failed(error=ModelUnavailable("x"))))
    assert isinstance(back, Failed)
    assert (back.error.code, back.error.param) == ("model_unavailable", None)


def test_an_error_of_another_module_becomes_the_nearest_that_is_known() -> None:
    back = decode_event(encode_event(Failed(error=ConnectionFailed("away", address="10.0.0.1"))))
    assert isinstance(back, Failed)
    assert type(back.error) is DependencyError
    assert back.error.code == "redis_connection_failed"
    assert b"10.0.0.1" not in encode_event(Failed(error=ConnectionFailed("away", address="10.0.0.1")))


def test_an_error_of_a_newer_version_is_a_failed_run() -> None:
    kind, told = json.loads(encode_event(Failed(error=ModelUnavailable("x", code="503"))))
    told["error"]["class"] = "FromTheFuture"
    back = decode_event(json.dumps([kind, told]).encode())
    assert isinstance(back, Failed)
    assert (type(back.error), back.error.message, back.error.code) == (RunFailed, "x", "503")


@pytest.mark.parametrize("data", [b"{", b"{}", b'["unknown", 1]', b'["text", 1]', b'["finished", {}]', b"1"])
def test_what_is_no_event_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - of JSON's or of ours
        decode_event(data)
