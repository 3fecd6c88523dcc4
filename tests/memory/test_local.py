"""`LocalMemory` is bounded."""

from datetime import UTC, datetime, timedelta

import pytest

from pais_lite import LocalMemory
from pais_lite.errors import InvalidRequest

pytestmark = pytest.mark.anyio


async def test_the_session_longest_unused_is_forgotten_for_a_new_one() -> None:
    memory = LocalMemory(max_sessions=2)
    for session_id in ("a", "b", "a", "c"):
        await memory.add_event(session_id, "user_message", "x")
    assert {session.session_id for session in (await memory.list_sessions()).sessions} == {"a", "c"}


async def test_a_session_keeps_its_newest_events() -> None:
    memory = LocalMemory(max_session_events=3)
    for number in range(10):
        await memory.add_event("s", "user_message", number)
    assert [event.content for event in await memory.get_events("s")] == [7, 8, 9]


async def test_a_session_is_forgotten_when_its_time_is_up() -> None:
    memory = LocalMemory(ttl_hours=0)
    await memory.add_event("old", "user_message", "x")
    assert await memory.get_events("old") == []
    await memory.add_event("new", "user_message", "x")
    assert len((await memory.list_sessions()).sessions) <= 1


async def test_cleanup_forgets_old_sessions_of_its_owner_only() -> None:
    memory = LocalMemory()
    await memory.add_event("mine", "user_message", "x")
    await memory.for_owner("other").add_event("theirs", "user_message", "x")
    assert await memory.cleanup_old_sessions(1) == 0
    assert await memory.cleanup_old_sessions(-1) == 1
    assert len((await memory.for_owner("other").list_sessions()).sessions) == 1


@pytest.mark.parametrize("cursor", ["", "yesterday~s", "2026-01-01T00:00:00~s"])
async def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await LocalMemory().list_sessions(cursor=cursor)
    assert caught.value.param == "cursor"


async def test_times_are_utc() -> None:
    memory = LocalMemory()
    event = await memory.add_event("s", "user_message", "x")
    session = await memory.get_or_create_session("s")
    assert event.timestamp.tzinfo is UTC
    assert timedelta(0) <= datetime.now(UTC) - session.updated_at < timedelta(minutes=1)
