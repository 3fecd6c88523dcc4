"""What `RedisMemory` promises beside what every memory does."""

import json

import anyio
import pytest
from pydantic_ai import Agent

from pais_lite import MemoryEvent, RedisMemory, serve
from pais_lite.errors import ConfigurationError, InvalidRequest, MemoryUnavailable
from tests.support.asgi import ask, chat
from tests.support.ports import free_port
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio

UNREACHABLE = f"redis://127.0.0.1:{free_port()}"


async def test_all_keys_of_an_agent_share_one_hash_tag_and_expire(valkey: ValkeyServer) -> None:
    memory = RedisMemory(valkey.url, app_name="greeter", ttl_hours=1).for_owner("alice")
    await memory.add_event("a:b", "user_message", "x")
    assert set(valkey.keys()) == {
        "pais:{greeter}:session:alice:a:b",
        "pais:{greeter}:events:alice:a:b",
        "pais:{greeter}:sessions:alice",
    }
    for key in valkey.keys():  # noqa: SIM118 - a server is no dict
        assert 3590 <= int(valkey.ask("TTL", key)[1:]) <= 3600
    await memory.aclose()


async def test_list_elements_are_the_json_of_events(valkey: ValkeyServer) -> None:
    memory = RedisMemory(valkey.url)
    event = await memory.add_event("s", "user_message", "hi")
    stored = valkey.ask("LINDEX", "pais:{agent}:events:user:s", "0").split(b"\r\n")[1]
    assert json.loads(stored) == event.to_dict()
    await memory.aclose()


async def test_what_a_newer_version_wrote_is_kept_and_given_back(valkey: ValkeyServer) -> None:
    written = {**MemoryEvent(event_type="from_the_future", content={"x": [1]}).to_dict(), "severity": 3}
    memory = RedisMemory(valkey.url)
    await memory.append("s", [MemoryEvent.from_dict(written)])
    assert [event.to_dict() for event in await memory.get_events("s")] == [written]
    await memory.aclose()


@pytest.mark.parametrize("content", ["\x00\r\n$5\r\n", "\ud83d", "日本 🎉", "x" * 1_000_000, ""])
async def test_content_is_safe_whatever_is_in_it(valkey: ValkeyServer, content: str) -> None:
    memory = RedisMemory(valkey.url)
    await memory.add_event("s", "user_message", content)
    [event] = await memory.get_events("s")
    assert event.content == content
    await memory.aclose()


async def test_events_and_sessions_are_bounded(valkey: ValkeyServer) -> None:
    memory = RedisMemory(valkey.url, max_sessions=2, max_session_events=3)
    for number in range(5):
        await memory.add_event("a", "user_message", number)
        await memory.add_event(f"s{number}", "user_message", number)
    assert [event.content for event in await memory.get_events("a")] == [2, 3, 4]
    assert [session.session_id for session in (await memory.list_sessions()).sessions] == ["s4", "a"]
    await memory.aclose()


async def test_context_is_found_behind_a_turn_with_very_many_tools(valkey: ValkeyServer) -> None:
    memory = RedisMemory(valkey.url)
    await memory.add_event("s", "user_message", "question")
    await memory.append("s", [MemoryEvent(event_type="tool_call", content={"n": n}) for n in range(200)])
    await memory.add_event("s", "agent_response", "answer")
    turn = MemoryEvent(event_type="user_message", content="now")
    assert [event.content for event in await memory.open_turn("s", turn, 2)] == ["question", "answer"]
    assert [event.content for event in await memory.get_events("s", 2, {"user_message"})] == [
        "question",
        "now",
    ]
    await memory.aclose()


async def test_many_who_make_a_session_at_once_get_the_same_one(valkey: ValkeyServer) -> None:
    memories = [RedisMemory(valkey.url) for _ in range(4)]
    made: set[object] = set()

    async def make(memory: RedisMemory) -> None:
        made.add((await memory.get_or_create_session("s")).created_at)

    async with anyio.create_task_group() as tasks:
        for memory in memories * 5:
            tasks.start_soon(make, memory)
    assert len(made) == 1
    for memory in memories:
        await memory.aclose()


async def test_an_event_that_was_stored_twice_is_read_once(valkey: ValkeyServer) -> None:
    memory = RedisMemory(valkey.url)
    event = MemoryEvent(event_type="user_message", content="x")
    await memory.append("s", [event])
    await memory.append("s", [event])
    assert await memory.get_events("s") == [event]
    await memory.aclose()


async def test_an_append_outlasts_a_restart_of_the_server(own_valkey: ValkeyServer) -> None:
    memory = RedisMemory(own_valkey.url, retry_seconds=20)
    await memory.add_event("s", "user_message", "before")
    own_valkey.kill()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(memory.add_event, "s", "agent_response", "after")
            await anyio.to_thread.run_sync(own_valkey.start)
    assert [event.content for event in await memory.get_events("s")] == ["before", "after"]
    await memory.aclose()


async def test_a_server_that_hangs_is_an_error_in_bounded_time_and_nothing_is_stored_twice(
    own_valkey: ValkeyServer,
) -> None:
    memory = RedisMemory(f"{own_valkey.url}?socket_timeout=0.3", retry_seconds=30)
    await memory.add_event("s", "user_message", "before")
    own_valkey.pause()
    with anyio.fail_after(40):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(memory.add_event, "s", "agent_response", "after")
            await anyio.sleep(1)  # long enough for the first attempt to time out with its outcome unknown
            own_valkey.resume()
    assert [event.content for event in await memory.get_events("s")] == ["before", "after"]
    await memory.aclose()


async def test_a_memory_that_cannot_be_reached_says_so() -> None:
    memory = RedisMemory(UNREACHABLE, retry_seconds=0)
    for call in (
        memory.check(),
        memory.get_events("s"),
        memory.list_sessions(),
        memory.add_event("s", "user_message", "x"),
        memory.open_turn("s", MemoryEvent(event_type="user_message", content="x"), 6),
    ):
        with anyio.fail_after(20), pytest.raises(MemoryUnavailable) as caught:
            await call
        assert "127.0.0.1" not in caught.value.message
    await memory.aclose()


async def test_without_memory_a_chat_is_503_health_is_200_and_ready_says_why() -> None:
    server = serve(
        Agent(),
        debug_mock_responses=["hi"],
        memory_type="redis",
        memory_redis_url=UNREACHABLE,
        shutdown_grace_seconds=0,
    )
    async with server.lifespan():
        answer = await ask(server, "POST", "/v1/chat/completions", chat(session_id="s"))
        assert answer.status == 503
        assert answer.headers["retry-after"]
        assert answer.json()["error"]["code"] == "memory_unavailable"
        assert (await ask(server, "GET", "/health")).status == 200
        ready = await ask(server, "GET", "/ready")
        assert (ready.status, ready.json()["checks"]["memory"]) == (503, "unreachable")


async def test_memory_comes_back_without_a_restart_of_ours(own_valkey: ValkeyServer) -> None:
    server = serve(
        Agent(),
        debug_mock_responses=["hi"],
        memory_type="redis",
        memory_redis_url=own_valkey.url,
        shutdown_grace_seconds=1,
    )
    statuses = []
    async with server.lifespan():
        for step in (None, own_valkey.kill, own_valkey.start):
            if step is not None:
                step()
            with anyio.fail_after(20):
                answer = await ask(server, "POST", "/v1/chat/completions", chat(session_id="s"))
                statuses.append(answer.status)
    assert statuses == [200, 503, 200]


async def test_a_foreign_cursor_is_refused(valkey: ValkeyServer) -> None:
    memory = RedisMemory(valkey.url)
    for cursor in ("", "x", "1", "-1~s", "9" * 40 + "~s"):
        with pytest.raises(InvalidRequest):
            await memory.list_sessions(cursor=cursor)
    await memory.aclose()


def test_a_wrong_url_is_an_error_at_start_that_shows_no_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        serve(
            Agent(),
            debug_mock_responses=["x"],
            memory_type="redis",
            memory_redis_url="redis://u:hunter2@h:99999/x",
        )
    assert "hunter2" not in caught.value.message
