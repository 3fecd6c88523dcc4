"""`NullMemory` answers every call and keeps nothing."""

import pytest

from pais_lite import MemoryEvent, NullMemory

pytestmark = pytest.mark.anyio


async def test_every_call_succeeds_and_nothing_is_kept() -> None:
    memory = NullMemory().for_owner("alice")
    await memory.add_event("s", "user_message", "x")
    assert await memory.open_turn("s", MemoryEvent(event_type="user_message", content="y"), 6) == []
    assert await memory.get_events("s") == []
    assert await memory.recent_events(5) == []
    assert await memory.get_session("s") is None
    assert (await memory.get_or_create_session("s")).user_id == "alice"
    assert (await memory.list_sessions()).sessions == []
    assert await memory.build_message_history("s") == []
    assert await memory.build_conversation_context("s") == ""
    assert not await memory.delete_session("s")
    assert await memory.cleanup_old_sessions(0) == 0
    assert (await memory.get_memory_stats())["total_events"] == 0
    await memory.check()
    await memory.aclose()
