"""Streams of tasks: from their beginning, joined later, and over a question."""

import json
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent

from pais_lite import serve
from tests.api.a2a.rpc import (
    Slow,
    begin,
    call,
    error,
    events,
    failing_server,
    make_server,
    message,
    old_message,
    result,
    scope,
    send,
)
from tests.support.agents import call as call_tools
from tests.support.asgi import Exchange, exchange

pytestmark = pytest.mark.anyio

ASK = "tck-input-required"


def told(talk: Exchange) -> list[Any]:
    return events(talk.answer)


def states(found: list[Any]) -> list[str]:
    return [
        event["statusUpdate"]["status"]["state"].removeprefix("TASK_STATE_")
        for event in found
        if "statusUpdate" in event
    ]


def text(found: list[Any]) -> str:
    """Put the artifact together as its updates say."""
    pieces: list[str] = []
    for event in found:
        if update := event.get("artifactUpdate"):
            if not update["append"]:
                pieces.clear()
            pieces += [part["text"] for part in update["artifact"]["parts"]]
    return "".join(pieces)


async def test_stream_begins_with_the_task_and_ends_with_its_state() -> None:
    server = make_server()
    answer = await call(server, "SendStreamingMessage", message=message("tck-stream-artifact-chunked"))
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = events(answer)
    assert found[0]["task"]["status"]["state"] == "TASK_STATE_SUBMITTED"
    assert states(found) == ["WORKING", "COMPLETED"]
    assert text(found) == "chunk-1 chunk-2"
    updates = [event["artifactUpdate"] for event in found if "artifactUpdate" in event]
    assert [update["lastChunk"] for update in updates] == [False] * (len(updates) - 1) + [True]
    task = await result(server, "GetTask", id=found[0]["task"]["id"])
    assert task["artifacts"][0]["parts"] == [{"text": "chunk-1 chunk-2"}]


async def test_stream_of_0_3() -> None:
    answer = await call(make_server(), "message/stream", message=old_message("tck-stream-001"))
    found = events(answer)
    assert [event["kind"] for event in found] == [
        "task",
        "status-update",
        "artifact-update",
        "artifact-update",
        "status-update",
    ]
    assert [event["final"] for event in found if event["kind"] == "status-update"] == [False, True]
    assert found[-1]["status"]["state"] == "completed"


@pytest.mark.parametrize("message_id", ["tck-artifact-file", "tck-artifact-data"])
async def test_structured_output_is_told_once_and_whole(message_id: str) -> None:
    found = events(await call(make_server(), "SendStreamingMessage", message=message(message_id)))
    (update,) = [event["artifactUpdate"] for event in found if "artifactUpdate" in event]
    assert update["lastChunk"] is True
    assert update["artifact"]["parts"][0].keys() & {"raw", "data"}


async def test_text_before_a_tool_is_no_part_of_the_answer_and_the_tool_is_told() -> None:
    agent = Agent("test", name="clerk")

    @agent.tool_plain
    def look(word: str) -> str:
        return word

    says = [call_tools(("look", {"word": "a"}), content="Let me look."), "Found."]
    server = serve(agent, debug_mock_responses=says)
    found = events(await call(server, "SendStreamingMessage", message=message()))
    assert text(found) == "Found."
    steps = [
        event["statusUpdate"]["metadata"]["urn:pais:progress"]
        for event in found
        if event.get("statusUpdate", {}).get("metadata")
    ]
    assert [(step["target"], step["status"]) for step in steps] == [
        ("look", "started"),
        ("look", "completed"),
    ]
    task = await result(server, "GetTask", id=found[0]["task"]["id"])
    assert task["artifacts"][0]["parts"] == [{"text": "Found."}]


async def test_stream_of_a_task_that_fails() -> None:
    found = events(await call(failing_server(), "SendStreamingMessage", message=message()))
    assert states(found)[-1] == "FAILED"
    assert found[-1]["statusUpdate"]["status"]["message"]["metadata"]["code"] == "mock_responses_exhausted"


async def test_who_joins_late_is_told_everything_and_who_leaves_ends_nothing() -> None:
    slow = Slow()
    server = slow.server()
    async with exchange(server, scope()) as first:
        begin(first, "SendStreamingMessage", message=message())
        await first.until("first")
        task_id = told(first)[0]["task"]["id"]
        async with exchange(server, scope()) as second, exchange(server, scope()) as third:
            for talk in (second, third):
                begin(talk, "SubscribeToTask", id=task_id)
                await talk.until("first")
            first.disconnect()
            third.disconnect()
            await anyio.wait_all_tasks_blocked()
            slow.may_end.set()
            with anyio.fail_after(5):
                await second.ended.wait()
            found = told(second)
    assert found[0]["task"]["status"]["state"] == "TASK_STATE_WORKING"
    assert text(found) == "first second"
    assert states(found)[-1] == "COMPLETED"
    assert (await result(server, "GetTask", id=task_id))["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_who_asks_for_it_ends_the_task_by_leaving() -> None:
    slow = Slow()
    server = slow.server()
    async with exchange(server, scope(x_on_disconnect="cancel")) as talk:
        begin(talk, "SendStreamingMessage", message=message())
        await talk.until("first")
        talk.disconnect()
        with anyio.fail_after(5):
            await talk.ended.wait()
        task_id = told(talk)[0]["task"]["id"]
    assert (await result(server, "GetTask", id=task_id))["status"]["state"] == "TASK_STATE_CANCELED"


async def test_subscription_lasts_over_a_question_until_the_task_ends() -> None:
    server = make_server()
    asks = await send(server, ASK)
    async with exchange(server, scope()) as first, exchange(server, scope()) as second:
        for talk in (first, second):
            begin(talk, "SubscribeToTask", id=asks["id"])
            await talk.until("TASK_STATE_INPUT_REQUIRED")
        await send(server, ASK, taskId=asks["id"])
        for talk in (first, second):
            await talk.until('"statusUpdate"')
        await send(server, taskId=asks["id"])
        with anyio.fail_after(5):
            await first.ended.wait()
            await second.ended.wait()
        assert told(first) == told(second)
        found = told(first)
    assert states(found) == ["WORKING", "INPUT_REQUIRED", "WORKING", "COMPLETED"]
    assert text(found) == "Hello from TCK"


async def test_subscription_ends_when_the_task_is_canceled_while_it_asks() -> None:
    server = make_server()
    asks = await send(server, ASK)
    async with exchange(server, scope()) as talk:
        begin(talk, "tasks/resubscribe", id=asks["id"])
        await talk.until("input-required")
        await result(server, "CancelTask", id=asks["id"])
        with anyio.fail_after(5):
            await talk.ended.wait()
        last = json.loads(talk.answer.frames()[-1])["result"]
    assert (last["kind"], last["status"]["state"], last["final"]) == ("status-update", "canceled", True)


async def test_stream_of_a_send_ends_where_the_task_asks() -> None:
    server = make_server()
    found = events(await call(server, "SendStreamingMessage", message=message(ASK)))
    assert states(found)[-1] == "INPUT_REQUIRED"
    going_on = message(taskId=found[0]["task"]["id"])
    found = events(await call(server, "SendStreamingMessage", message=going_on))
    assert states(found)[-1] == "COMPLETED"


async def test_keepalives_while_a_task_waits() -> None:
    server = make_server(sse_keepalive_seconds=0.05)
    asks = await send(server, ASK)
    async with exchange(server, scope()) as talk:
        begin(talk, "SubscribeToTask", id=asks["id"])
        await talk.until(": keepalive\n")
        talk.disconnect()
        with anyio.fail_after(5):
            await talk.ended.wait()


async def test_subscriptions_that_are_refused() -> None:
    server = make_server()
    done = await send(server)
    assert (await error(server, "SubscribeToTask", id=done["id"]))["code"] == -32004
    assert (await error(server, "SubscribeToTask", id="nobody's"))["code"] == -32001
    # In 0.3, what answers these methods is always a stream.
    answer = await call(server, "tasks/resubscribe", id="nobody's")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [json.loads(frame)["error"]["code"] for frame in answer.frames()] == [-32001]


async def test_stream_of_a_waiting_task_ends_when_the_server_leaves() -> None:
    server = make_server(shutdown_grace_seconds=0)
    asks = await send(server, ASK)
    async with exchange(server, scope()) as talk:
        begin(talk, "SubscribeToTask", id=asks["id"])
        await talk.until("TASK_STATE_INPUT_REQUIRED")
        await server.drain()
        with anyio.fail_after(5):
            await talk.ended.wait()
        last = json.loads(talk.answer.frames()[-1])
    assert last["error"]["code"] == -32603
    assert "shutting down" in last["error"]["message"]


async def test_header_that_is_wrong_is_refused_before_anything_begins() -> None:
    server = make_server()
    async with exchange(server, scope(x_on_disconnect="maybe")) as talk:
        begin(talk, "SendMessage", message=message())
        with anyio.fail_after(5):
            await talk.ended.wait()
        assert talk.answer.json()["error"]["code"] == -32602
    assert (await result(server, "ListTasks"))["totalSize"] == 0
