"""What every backend promises."""

from collections.abc import Callable

import pytest
from pydantic_ai.messages import ModelRequest, ModelResponse

from pais_lite import LocalMemory, Memory, MemoryEvent

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[LocalMemory])
def memory(request: pytest.FixtureRequest) -> Memory:
    make: Callable[[], Memory] = request.param
    return make()


async def _converse(memory: Memory, session_id: str, turns: int) -> None:
    for turn in range(turns):
        await memory.add_event(session_id, "user_message", f"question {turn}")
        await memory.add_event(session_id, "tool_call", {"tool": "t", "call_id": "c", "arguments": {}})
        await memory.add_event(session_id, "tool_result", {"tool": "t", "call_id": "c", "result": 1})
        await memory.add_event(session_id, "agent_response", f"answer {turn}")


async def test_events_come_back_in_order_and_unchanged(memory: Memory) -> None:
    stored = [
        await memory.add_event("s", "user_message", text, {"n": n})
        for n, text in enumerate(["a", "é\x00", ""])
    ]
    assert await memory.get_events("s") == stored
    assert [MemoryEvent.from_dict(event.to_dict()) for event in stored] == stored


async def test_an_event_keeps_fields_of_a_newer_version() -> None:
    written = {**MemoryEvent(event_type="error", content="x").to_dict(), "severity": 3}
    assert MemoryEvent.from_dict(written).to_dict() == written


async def test_limit_and_types_pick_the_newest(memory: Memory) -> None:
    await _converse(memory, "s", 3)
    assert [event.content for event in await memory.get_events("s", 2, {"agent_response"})] == [
        "answer 1",
        "answer 2",
    ]
    assert [event.event_type for event in await memory.get_events("s", 2)] == [
        "tool_result",
        "agent_response",
    ]
    assert await memory.get_events("unknown") == []


async def test_history_counts_conversation_events_and_leaves_tools_out(memory: Memory) -> None:
    await _converse(memory, "s", 5)
    history = await memory.build_message_history("s", 4)
    assert [type(message) for message in history] == [
        ModelRequest,
        ModelResponse,
        ModelRequest,
        ModelResponse,
    ]
    assert [message.parts[0].content for message in history] == [  # type: ignore[union-attr]
        "question 3",
        "answer 3",
        "question 4",
        "answer 4",
    ]


async def test_history_never_holds_the_turn_being_answered(memory: Memory) -> None:
    await _converse(memory, "s", 1)
    await memory.add_event("s", "user_message", "now")
    assert len(await memory.build_message_history("s", 6)) == 2
    assert (await memory.build_conversation_context("s")).endswith("User: now")


async def test_opening_a_turn_gives_what_was_before_it(memory: Memory) -> None:
    await _converse(memory, "s", 4)
    turn = MemoryEvent(event_type="user_message", content="now")
    before = await memory.open_turn("s", turn, 3)
    assert [event.content for event in before] == ["answer 2", "question 3", "answer 3"]
    assert (await memory.get_events("s"))[-1] == turn
    assert await memory.open_turn("s", turn, 0) == []


async def test_an_owner_neither_sees_nor_deletes_what_belongs_to_another(memory: Memory) -> None:
    alice, bob = memory.for_owner("alice"), memory.for_owner("bob")
    await alice.add_event("s", "user_message", "alice's words")
    assert await bob.get_events("s") == []
    assert await bob.get_session("s") is None
    assert await bob.recent_events(10) == []
    assert (await bob.list_sessions()).sessions == []
    assert not await bob.delete_session("s")
    assert (await bob.get_memory_stats())["total_sessions"] == 0
    await bob.add_event("s", "user_message", "bob's words")
    assert [event.content for event in await alice.get_events("s")] == ["alice's words"]


async def test_sessions_are_listed_page_by_page_latest_first(memory: Memory) -> None:
    for number in range(5):
        await memory.add_event(f"s{number}", "user_message", "x")
    await memory.add_event("s0", "user_message", "again")
    first = await memory.list_sessions(limit=2)
    assert [session.session_id for session in first.sessions] == ["s0", "s4"]
    assert first.sessions[0].event_count == 2
    # What is written between two pages neither repeats nor hides a session that the listing had still to come to.
    await memory.add_event("s4", "user_message", "later")
    second = await memory.list_sessions(limit=2, cursor=first.next_cursor)
    third = await memory.list_sessions(limit=2, cursor=second.next_cursor)
    assert [session.session_id for page in (second, third) for session in page.sessions] == ["s3", "s2", "s1"]
    assert third.next_cursor is None


async def test_a_deleted_session_is_gone(memory: Memory) -> None:
    await memory.add_event("s", "user_message", "x")
    assert await memory.delete_session("s")
    assert await memory.get_events("s") == []
    assert not await memory.delete_session("s")


async def test_stats_count_sessions_and_events(memory: Memory) -> None:
    await _converse(memory, "a", 1)
    await _converse(memory, "b", 2)
    assert await memory.get_memory_stats() == {
        "total_sessions": 2,
        "total_events": 12,
        "avg_events_per_session": 6,
    }


async def test_get_or_create_makes_a_session_once(memory: Memory) -> None:
    made = await memory.get_or_create_session("s")
    await memory.add_event("s", "user_message", "x")
    again = await memory.get_or_create_session("s")
    assert (made.event_count, again.event_count) == (0, 1)
    assert made.created_at == again.created_at


async def test_recent_events_are_the_newest_over_all_sessions(memory: Memory) -> None:
    for number in range(6):
        await memory.add_event(f"s{number % 3}", "user_message", str(number))
    assert [event.content for event in await memory.recent_events(4)] == ["2", "3", "4", "5"]
