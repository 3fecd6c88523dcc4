"""The bytes of a stream, its silence, and who sees which session."""

import json
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent

from pais_lite import AgentServer, serve
from tests.support.asgi import ask, chat, exchange, make_scope

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
ALICE, BOB = {"authorization": "Bearer a"}, {"authorization": "Bearer b"}


def make_server(*responses: Any, **settings: Any) -> AgentServer:
    agent = Agent("test", name="spoken")

    @agent.tool_plain
    async def rest() -> str:
        await anyio.sleep(0.5)
        return "rested"

    return serve(agent, debug_mock_responses=list(responses), **settings)


async def test_every_frame_is_one_that_all_clients_read() -> None:
    server = make_server({"tool_calls": [{"name": "rest", "arguments": {}}]}, "line\nline \u2028 end")
    answer = await ask(server, "POST", CHAT, chat(stream=True, stream_options={"include_usage": True}))
    for line in answer.body.decode().split("\n"):
        assert line == "" or line.startswith("data: ")
    assert answer.frames()[-1] == "[DONE]"
    *chunks, usage = answer.chunks()
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert len({chunk["id"] for chunk in [*chunks, usage]}) == 1
    for chunk in [*chunks, usage]:
        assert chunk["id"].startswith("chatcmpl-")
        assert chunk["object"] == "chat.completion.chunk"
        assert type(chunk["created"]) is int
        assert "error" not in chunk
    for chunk in chunks:
        (choice,) = chunk["choices"]
        assert choice["index"] == 0
        assert "tool_calls" not in choice["delta"]
        assert "progress" not in chunk or choice["delta"] == {}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks].count("stop") == 1
    assert chunks[-1]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert usage["choices"] == []
    assert answer.text() == "line\nline \u2028 end"
    statuses = [chunk["progress"]["status"] for chunk in chunks if "progress" in chunk]
    assert statuses == ["started", "completed"]


async def test_usage_is_told_only_to_those_who_ask() -> None:
    answer = await ask(make_server("hi"), "POST", CHAT, chat(stream=True))
    assert all(chunk["choices"] for chunk in answer.chunks())


async def test_silent_tool_is_bridged_by_comments() -> None:
    server = make_server(
        {"tool_calls": [{"name": "rest", "arguments": {}}]}, "hi", sse_keepalive_seconds=0.05
    )
    answer = await ask(server, "POST", CHAT, chat(stream=True))
    assert answer.body.count(b": keepalive\n") >= 3
    assert b": keepalive\n\n" not in answer.body
    assert answer.text() == "hi"


async def test_headers_wait_for_the_first_event_and_no_longer_than_the_keepalive() -> None:
    waiting = Agent(name="waiting")

    @waiting.instructions
    async def think() -> str:
        await anyio.sleep(0.5)
        return ""

    for seconds, first in [(30.0, '"role"'), (0.05, ": keepalive")]:
        server = serve(waiting, debug_mock_responses=["hi"], sse_keepalive_seconds=seconds)
        async with exchange(server, make_scope("POST", CHAT)) as talk:
            talk.send_body(json.dumps(chat(stream=True)).encode())
            with anyio.fail_after(10):
                await talk.ended.wait()
            assert first in talk.sends[0].decode()
            assert (": keepalive" in talk.answer.body.decode()) == (seconds < 1)


async def test_owners_neither_see_nor_continue_each_others_sessions() -> None:
    server = make_server("hello", agent_api_keys="alice:a,bob:b")
    for owner, text in [(ALICE, "from alice"), (BOB, "from bob")]:
        assert (await ask(server, "POST", CHAT, chat(text, session_id="shared"), owner)).status == 200
    for owner, name, text in [(ALICE, "alice", "from alice"), (BOB, "bob", "from bob")]:
        for query in ("session_id=shared", ""):
            events = (await ask(server, "GET", "/memory/events", headers=owner, query=query)).json()["events"]
            assert [event["content"] for event in events] == [text, "hello"]
        (session,) = (await ask(server, "GET", "/memory/sessions", headers=owner)).json()["sessions"]
        assert session["user_id"] == name
        listing = await ask(server, "GET", "/memory/sessions", headers=owner, query="user_id=somebody")
        assert listing.json()["sessions"] == []
    assert (await ask(server, "DELETE", "/memory/sessions/shared", headers=ALICE)).status == 200
    assert (await ask(server, "DELETE", "/memory/sessions/shared", headers=ALICE)).status == 404
    assert len((await ask(server, "GET", "/memory/sessions", headers=BOB)).json()["sessions"]) == 1


async def test_pages_of_sessions_follow_each_other_without_quoting() -> None:
    server = make_server("hello")
    for number in range(5):
        await ask(server, "POST", CHAT, chat(session_id=f"s{number}"))
    seen: list[str] = []
    query, cursor = "limit=2", ""
    for _ in range(3):
        page = (await ask(server, "GET", "/memory/sessions", query=query)).json()
        seen += [session["session_id"] for session in page["sessions"]]
        cursor = page["next_cursor"]
        query = f"limit=2&cursor={cursor}"
    assert seen == ["s4", "s3", "s2", "s1", "s0"]
    assert cursor is None


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=", "limit=" + "9" * 99]
)
async def test_limits_that_are_refused(query: str) -> None:
    for path in ("/memory/sessions", "/memory/events"):
        answer = await ask(make_server("x"), "GET", path, query=query)
        assert (answer.status, answer.json()["error"]["param"]) == (400, "limit")


async def test_card_tells_where_the_agent_is() -> None:
    path = "/.well-known/agent-card.json"
    card = await ask(make_server("x"), "GET", f"/a{path}", headers={"host": "h:1"}, root_path="/a")
    assert card.json()["supportedInterfaces"][0]["url"] == "http://h:1/a/"
    public = make_server("x", agent_public_url="https://agents.example/x/")
    assert (await ask(public, "GET", "/.well-known/agent.json")).json()["url"] == "https://agents.example/x/"


async def test_pages_of_other_origins() -> None:
    server = make_server("x", cors_allow_origins="https://a.example", agent_api_keys="k")
    asked = {"origin": "https://a.example", "access-control-request-headers": "authorization"}
    preflight = await ask(server, "OPTIONS", CHAT, headers=asked)
    assert (preflight.status, preflight.body) == (204, b"")
    assert preflight.headers["access-control-allow-methods"] == "POST, OPTIONS"
    refused = await ask(server, "POST", CHAT, chat(), {"origin": "https://a.example"})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, "https://a.example")
