"""What a run says, as the events of the Responses API: no server, no clock, the same every time."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from pais_lite.api.responses_stream import ResponseStream, whole_response
from pais_lite.errors import RunCancelled, RunLost
from pais_lite.events import (
    Failed,
    Finished,
    Hop,
    Progress,
    RunEvent,
    TextDelta,
    ThinkingDelta,
    Tokens,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pais_lite.runs import RunRecord

STORY: list[RunEvent] = [
    TextDelta("Once "),
    TextDelta("upon"),
    Finished(output="Once upon", usage=Usage(input_tokens=3)),
]


def record(protocol: str = "responses", **details: Any) -> RunRecord:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    return RunRecord(
        run_id="resp_abc",
        owner="user",
        agent="clerk",
        session_id="s",
        protocol=protocol,
        status="in_progress",
        created_at=moment,
        updated_at=moment,
        details={"model": "clerk", **details},
    )


def frames(said: Sequence[RunEvent], of: RunRecord | None = None, after: int | None = None) -> bytes:
    stream = ResponseStream(of or record(), after=after)
    return stream.head() + b"".join(stream.frames(event) for event in said)


def events(said: Sequence[RunEvent], of: RunRecord | None = None) -> list[dict[str, Any]]:
    """Return the events of a run, having looked at how they are framed and numbered."""
    *blocks, rest = frames(said, of).decode().split("\n\n")
    assert rest == ""
    found = []
    for number, block in enumerate(blocks):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        found.append(event)
    return found


def types(said: Sequence[RunEvent], of: RunRecord | None = None) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events(said, of)]


def progress(status: Any, call_id: str = "c", **fields: Any) -> Progress:
    named = {"action": "tool_call", "target": "find", **fields}
    return Progress(step=1, max_steps=5, call_id=call_id, status=status, **named)


def well_formed(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Check what the clients' own accumulators lean on, and return the last response."""
    assert found[0]["type"] == "response.created"
    assert found[0]["response"]["output"] == []
    open_items: dict[int, str] = {}
    done: dict[int, dict[str, Any]] = {}
    for event in found[1:-1]:
        place: Any = event.get("output_index")
        match event["type"].removeprefix("response."):
            case "output_item.added":
                assert place == len(open_items) + len(done)
                open_items[place] = event["item"]["id"]
            case "output_item.done":
                assert open_items.pop(place) == event["item"]["id"]
                done[place] = event["item"]
            case "queued" | "in_progress":
                assert place is None
            case _:
                assert open_items[place] == event["item_id"]
    assert not open_items
    last: dict[str, Any] = found[-1]["response"]
    assert last["output"] == [done[place] for place in sorted(done)]
    assert len({item["id"] for item in last["output"]}) == len(done)
    return last


def test_text_in_pieces() -> None:
    found = events(STORY)

    response = well_formed(found)
    assert response["status"] == "completed"
    assert response["usage"]["input_tokens"] == 3
    assert [event["delta"] for event in found if "delta" in event] == ["Once ", "upon"]
    (message,) = response["output"]
    assert message["content"] == [
        {"type": "output_text", "text": "Once upon", "annotations": [], "logprobs": []}
    ]


def test_every_place_can_be_begun_at() -> None:
    whole = frames(STORY).split(b"\n\n")[:-1]

    for number in range(len(whole)):
        rest = frames(STORY, after=number).split(b"\n\n")[:-1]
        assert rest == whole[number + 1 :]
    assert frames(STORY, after=10**12) == b""


def test_answer_that_was_not_streamed_is_told_at_once() -> None:
    assert types([Finished(output="Once upon")]) == types(
        [TextDelta("Once upon"), Finished(output="Once upon")]
    )


def test_empty_answer_is_an_answer() -> None:
    response = well_formed(events([Finished(output="")]))

    assert [item["content"][0]["text"] for item in response["output"]] == [""]


def test_text_before_a_tool_is_a_message_of_its_own() -> None:
    said: list[RunEvent] = [
        TextDelta("Let me see."),
        progress("started", arguments={"n": 7}),
        progress("completed", result={"found": [1]}, duration_ms=3),
        TextDelta("Here."),
        Finished(output="Here."),
    ]
    response = well_formed(events(said))

    before, call, after = response["output"]
    assert (before["phase"], after["phase"]) == ("commentary", "final_answer")
    assert (call["arguments"], call["output"], call["status"]) == ('{"n":7}', '{"found":[1]}', "completed")
    assert response["output"] == whole_response(record(), said)["output"]


def test_calls_side_by_side_even_with_one_id() -> None:
    said: list[RunEvent] = [
        progress("started", "a", arguments={}),
        progress("started", "a", arguments={}),
        progress("started", "b", arguments=None),
        progress("completed", "b", result="second"),
        progress("failed", "a", result="wrong"),
        progress("completed", "a", result="first"),
        Finished(output="done"),
    ]
    response = well_formed(events(said))

    calls = response["output"][:3]
    assert [call["output"] for call in calls] == [None, "first", "second"]
    assert [call["status"] for call in calls] == ["failed", "completed", "completed"]
    assert calls[0]["error"]["content"] == [{"type": "text", "text": "wrong"}]


def test_delegation_and_what_happens_below_it() -> None:
    below = (Hop("writer", "d"),)
    said: list[RunEvent] = [
        progress("started", "d", action="delegate", target="writer", arguments={"task": "write"}),
        progress("running", "d", action="delegate", target="writer", delta="Dear"),
        progress("started", "x", target="look_up", path=below),
        progress("completed", "x", target="look_up", path=below),
        progress("completed", "d", action="delegate", target="writer", result="Dear Ada"),
        progress("running", "unheard of", delta="nothing"),
        Finished(output="sent"),
    ]
    found = events(said)

    call = well_formed(found)["output"][0]
    assert (call["server_label"], call["name"], call["output"]) == ("delegation", "writer", "Dear Ada")
    told = [event["progress"] for event in found if event["type"] == "response.mcp_call.in_progress"]
    assert [step["status"] for step in told] == ["started", "running", "started", "completed"]
    assert told[1]["delta"] == "Dear"
    assert told[2]["path"] == [{"agent": "writer", "call_id": "d"}]
    assert not any("arguments" in step or "result" in step for step in told)


def test_thoughts_between_texts() -> None:
    said: list[RunEvent] = [
        ThinkingDelta("Hm"),
        ThinkingDelta("m."),
        TextDelta("Yes."),
        ThinkingDelta("No?"),
        TextDelta("Yes!"),
    ]
    response = well_formed(events([*said, Finished(output="Yes.Yes!")]))

    kinds = [item["type"] for item in response["output"]]
    assert kinds == ["reasoning", "message", "reasoning", "message"]
    assert response["output"][0]["summary"] == [{"type": "summary_text", "text": "Hmm."}]


def test_calls_that_are_handed_to_the_client() -> None:
    calls = (
        ToolCall(call_id="call_1", tool="map", arguments='{"a":1}', kind="client"),
        ToolCall(call_id="call_2", tool="erase", arguments='{"b":2}', kind="approval"),
        ToolCall(call_id="call_3", tool="clock", arguments="{}", kind="client"),
    )
    said: list[RunEvent] = [
        TextDelta("One moment."),
        ToolCallStarted(index=0, call_id="call_1", tool="map", kind="client"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
        ToolCallStarted(index=1, call_id="call_2", tool="erase", kind="approval"),
        ToolCallDelta(1, '{"b":2}'),
        Finished(output="One moment.", finish_reason="tool_calls", tool_calls=calls),
    ]
    found = events(said)

    response = well_formed(found)
    assert response["status"] == "completed"
    message, first, request, third = response["output"]
    assert message["phase"] == "commentary"
    assert (first["type"], first["call_id"], first["arguments"]) == ("function_call", "call_1", '{"a":1}')
    assert (request["type"], request["id"], request["arguments"]) == (
        "mcp_approval_request",
        "call_2",
        '{"b":2}',
    )
    assert (third["call_id"], third["arguments"], third["status"]) == ("call_3", "{}", "completed")


def test_call_that_was_approved_says_which_request_that_was() -> None:
    of = record(approved=["call_2"])
    said: list[RunEvent] = [
        progress("started", "call_2"),
        progress("completed", "call_2", result="gone"),
        Finished(output="ok"),
    ]

    assert well_formed(events(said, of))["output"][0]["approval_request_id"] == "call_2"


@pytest.mark.parametrize(
    ("ending", "last", "status"),
    [
        (Failed(error=RunLost("the replica is gone")), "failed", "failed"),
        (Failed(error=RunCancelled("somebody did not want it")), "failed", "cancelled"),
        (Finished(output="So", finish_reason="length"), "incomplete", "incomplete"),
        (Finished(output="", finish_reason="content_filter"), "incomplete", "incomplete"),
    ],
)
def test_nothing_is_left_open_by_a_run_that_broke_off(
    ending: Finished | Failed, last: str, status: str
) -> None:
    said: list[RunEvent] = [
        ToolCallStarted(index=0, call_id="call_1", tool="map", kind="client"),
        ToolCallDelta(0, '{"pl'),
        progress("started"),
        TextDelta("So"),
        ending,
    ]
    found = events(said)

    response = well_formed(found)
    assert (found[-1]["type"], response["status"]) == (f"response.{last}", status)
    assert [item["status"] for item in response["output"]] == ["incomplete"] * 3
    assert response["output"][0]["arguments"] == '{"pl'
    if isinstance(ending, Failed):
        assert response["error"]["message"] == ending.error.message
        assert response["error"]["code"] == ending.error.code
    else:
        reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
        assert response["incomplete_details"] == {"reason": reasons[ending.finish_reason]}


def test_background_is_queued_until_something_happens() -> None:
    of = record(background=True)

    assert types(STORY, of)[:4] == ["created", "queued", "in_progress", "output_item.added"]
    failed = Failed(error=RunCancelled("too late"))
    assert types([failed], of) == ["created", "queued", "failed"]
    assert types([failed]) == ["created", "in_progress", "failed"]


def test_run_of_another_protocol_keeps_its_own_details_to_itself() -> None:
    of = record("a2a", background=True, asked={"metadata": {"a": "b"}}, input=[{"secret": True}])
    response = well_formed(events(STORY, of))

    assert (response["background"], response["metadata"]) == (False, {})


def test_half_an_emoji_is_no_stumbling_block() -> None:
    said: list[RunEvent] = [TextDelta("\ud83e"), Finished(output="\ud83e")]

    assert well_formed(events(said))["output"][0]["content"][0]["text"] == "\ud83e"


def test_usage_says_which_agent_used_what() -> None:
    mine, others = Tokens(input_tokens=1, output_tokens=2), Tokens(input_tokens=3, cached_tokens=1)
    usage = Usage(
        input_tokens=4, output_tokens=2, cached_tokens=1, agents=(("clerk", mine), ("baker", others))
    )
    told = well_formed(events([Finished(output="So.", usage=usage)]))["usage"]

    assert (told["input_tokens"], told["output_tokens"], told["total_tokens"]) == (4, 2, 6)
    assert [(one["agent"], one["total_tokens"]) for one in told["agents"]] == [("clerk", 3), ("baker", 3)]
    assert told["agents"][1]["input_tokens_details"]["cached_tokens"] == 1
