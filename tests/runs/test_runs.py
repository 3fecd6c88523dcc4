"""What every store of runs promises. In Redis, what one replica does is seen from another."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

from pais_lite.agent import event_log
from pais_lite.errors import (
    Conflict,
    InvalidRequest,
    LogTruncated,
    NotFound,
    RunCancelled,
    RunFailed,
    TooManyRuns,
)
from pais_lite.events import Failed, Finished, TextDelta
from pais_lite.runs.codec import encode_events
from pais_lite.runs.redis import log_writer
from tests.support.replicas import (
    TIMEOUT,
    Replicas,
    end,
    finish,
    new_run,
    nothing,
    read,
    replicas,
    start,
    told,
)
from tests.support.sockets import until
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio

Make = Callable[..., AbstractAsyncContextManager[Replicas]]


@pytest.fixture(params=["local", "redis"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes replicas on the store that is tested."""
    server: ValkeyServer | None = request.getfixturevalue("valkey") if request.param == "redis" else None

    def make(**settings: Any) -> AbstractAsyncContextManager[Replicas]:
        return replicas(server, **settings)

    return make


@pytest.fixture
async def pair(make: Make) -> AsyncIterator[Replicas]:
    async with make() as pair:
        yield pair


async def missing(pair: Replicas, run_id: str, owner: str = "user") -> bool:
    try:
        await pair.two.get(run_id, owner)
    except NotFound:
        return True
    return False


async def test_a_run_is_followed_to_its_end_and_remembered(pair: Replicas) -> None:
    new = new_run(details={"model": "m", "input": [{"n": 2**60, "none": None, "empty": []}]})
    run = await start(pair.one, new)
    assert (run.is_new, run.record.status, run.record.ending) == (True, "queued", None)
    events = await read(run)
    ending = Finished(output="hello there ", usage=events[-1].usage)  # type: ignore[union-attr]
    assert events == [TextDelta("hello "), TextDelta("there "), ending]
    assert (await end(run), run.maybe_ending) == (ending, ending)
    record = await pair.two.get(new.run_id, "user")
    assert record.ending == ending
    assert (record.status, record.protocol, record.session_id) == ("completed", "chat", "s")
    assert (record.owner, record.agent, record.details) == ("user", "obedient", new.details)
    assert record.created_at == new.created_at
    assert record.updated_at >= record.created_at


async def test_who_comes_late_reads_the_same_events(pair: Replicas) -> None:
    new = new_run("say " + "word " * 300)
    said = encode_events(await read(await start(pair.one, new)))
    for runs in (pair.one, pair.two):
        assert await told(runs, new.run_id) == said


async def test_everybody_who_follows_reads_the_same_events_live(pair: Replicas) -> None:
    new = new_run("wait gate")
    run = await start(pair.one, new)
    await pair.model.called("wait gate")
    await pair.one.registered(new.run_id, "user")
    said: list[bytes] = []

    async def listen(run: Any) -> None:
        said.append(encode_events(await read(run)))

    others = [await runs.follow(new.run_id, "user") for runs in (pair.one, pair.two, pair.two)]
    assert [other.record.status for other in others] == ["in_progress"] * 3
    async with anyio.create_task_group() as tasks:
        for each in (run, *others):
            tasks.start_soon(listen, each)
        with anyio.fail_after(TIMEOUT):
            # What was said before the end comes before the end.
            late = await pair.two.follow(new.run_id, "user")
            assert await late.next_events() == [TextDelta("before ")]
            late.leave()
            assert await late.next_events() == ()
        pair.model.gates["gate"].set()
    assert said == [said[0]] * 4
    assert await told(pair.two, new.run_id) == said[0]
    for other in others:
        assert isinstance(await end(other), Finished)


async def test_a_failed_run_fails_for_everybody_in_the_same_way(pair: Replicas) -> None:
    run = await start(pair.one, new_run("fail"))
    ending = await end(run)
    assert isinstance(ending, Failed)
    assert type(ending.error) is RunFailed
    record = await pair.two.get(run.record.run_id, "user")
    assert (record.status, type(getattr(record.ending, "error", None))) == ("failed", RunFailed)
    assert await told(pair.two, run.record.run_id) == await told(pair.one, run.record.run_id)


async def test_a_run_is_found_as_soon_as_it_is_registered(pair: Replicas) -> None:
    first, second = new_run("wait a"), new_run("wait b")
    for new in (first, second):
        await start(pair.one, new)
        assert (await pair.one.registered(new.run_id, "user")).run_id == new.run_id
    await pair.model.called("wait a")
    statuses = [(await pair.two.get(new.run_id, "user")).status for new in (first, second)]
    assert statuses == ["in_progress", "queued"]


async def test_cancelling_waits_for_the_end(pair: Replicas) -> None:
    new = new_run("wait forever")
    run = await start(pair.one, new)
    await pair.one.registered(new.run_id, "user")
    await pair.model.called("wait forever")
    with anyio.fail_after(TIMEOUT):
        record = await pair.two.cancel(new.run_id, "user")
    assert record.status == "cancelled"
    assert isinstance(getattr(run.maybe_ending, "error", None), RunCancelled)
    # Nor does it change what has ended.
    again = await pair.one.cancel(new.run_id, "user")
    assert (again.status, again.updated_at) == (record.status, record.updated_at)
    done = await start(pair.one, new_run())
    await end(done)
    assert (await pair.two.cancel(done.record.run_id, "user")).status == "completed"


async def test_one_who_waits_for_the_session_can_be_cancelled(pair: Replicas) -> None:
    first, second, third = (new_run(f"wait {name}") for name in ("a", "b", "c"))
    for new in (first, second, third):
        await start(pair.one, new)
        await pair.one.registered(new.run_id, "user")
    assert (await pair.two.cancel(second.run_id, "user")).status == "cancelled"
    pair.model.gates["a"].set()
    await pair.model.called("wait c")
    assert "wait b" not in pair.model.calls
    # What never began is no part of the conversation.
    events = await pair.served[0].agent.memory.get_events("s")
    assert [event.content for event in events] == ["wait a", "before after", "wait c"]


async def test_a_deleted_run_is_gone(pair: Replicas) -> None:
    ended, lasting = new_run(key="k"), new_run("wait forever")
    await end(await start(pair.one, ended))
    await start(pair.one, lasting)
    await pair.one.registered(lasting.run_id, "user")
    for new in (ended, lasting):
        with anyio.fail_after(TIMEOUT):
            assert await pair.two.delete(new.run_id, "user")
        assert not await pair.two.delete(new.run_id, "user")
        for call in (pair.one.get, pair.two.get, pair.two.follow, pair.two.cancel):
            with pytest.raises(NotFound, match=new.run_id):
                await call(new.run_id, "user")
    assert (await pair.two.list("user")).total == 0
    # Its key is free again.
    assert (await start(pair.two, new_run(key="k"))).is_new


async def test_what_is_not_to_be_kept_is_found_while_it_lasts(pair: Replicas) -> None:
    new = new_run("wait gate", store=False)
    run = await start(pair.one, new)
    await pair.one.registered(new.run_id, "user")
    other = await pair.two.follow(new.run_id, "user")
    pair.model.gates["gate"].set()
    assert encode_events(await read(run)) == encode_events(await read(other))
    await until(lambda: missing(pair, new.run_id))


async def test_details_are_added_to_while_a_run_lasts_and_afterwards(pair: Replicas) -> None:
    new = new_run("wait gate", details={"a": 1, "b": [1]})
    run = await start(pair.one, new)
    await pair.one.registered(new.run_id, "user")
    amended = await pair.two.amend(new.run_id, "user", {"b": [2], "c": {"x": None}})
    assert amended.details == {"a": 1, "b": [2], "c": {"x": None}}
    assert (await pair.one.amend(new.run_id, "user", {"d": "é"})).details["d"] == "é"
    pair.model.gates["gate"].set()
    await end(run)
    record = await pair.one.amend(new.run_id, "user", {"a": 2})
    assert record.details == {"a": 2, "b": [2], "c": {"x": None}, "d": "é"}
    assert record.status == "completed"
    assert await pair.two.get(new.run_id, "user") == record
    with pytest.raises(NotFound):
        await pair.two.amend("resp_unknown", "user", {"a": 1})


async def test_runs_are_listed_page_by_page_the_latest_first(pair: Replicas) -> None:
    ids = []
    for number in range(5):
        new = new_run(session=f"s{number % 2}", protocol="a2a" if number < 3 else "responses")
        await finish(pair.one, new)
        ids.append(new.run_id)
    lasting = new_run("wait forever", session="other")
    await start(pair.one, lasting)
    await pair.one.registered(lasting.run_id, "user")
    await pair.model.called("wait forever")
    await pair.one.amend(ids[0], "user", {"touched": True})
    expected = [ids[0], lasting.run_id, *ids[:0:-1]]
    seen, cursor = [], None
    for size in (2, 2, 2):
        page = await pair.two.list("user", limit=size, cursor=cursor)
        seen += [record.run_id for record in page.records]
        assert page.total == 6
        cursor = page.next_cursor
    assert (seen, cursor) == (expected, None)
    for wanted, found in [
        ({"protocol": "a2a"}, [ids[0], ids[2], ids[1]]),
        ({"session_id": "s1"}, [ids[3], ids[1]]),
        ({"statuses": ["in_progress"]}, [lasting.run_id]),
        ({"protocol": "a2a", "session_id": "s1", "statuses": ["completed", "failed"]}, [ids[1]]),
        ({"updated_after": (await pair.two.get(ids[4], "user")).updated_at}, expected[:3]),
    ]:
        page = await pair.two.list("user", **wanted)  # type: ignore[arg-type]
        assert [record.run_id for record in page.records] == found
        assert page.total == len(found)
    for foreign in ("", "x", "~", "2026~a~b"):
        with pytest.raises(InvalidRequest, match="cursor"):
            await pair.two.list("user", cursor=foreign)


@pytest.mark.parametrize("run_id", ["resp_unknown", "", "\ud83d", "a:b", "x" * 10_000, "a\r\nb"])
async def test_what_is_no_run_is_not_found(pair: Replicas, run_id: str) -> None:
    for call in (pair.one.get, pair.one.follow, pair.one.cancel):
        with pytest.raises(NotFound):
            await call(run_id, "user")
    with pytest.raises(NotFound):
        await pair.one.amend(run_id, "user", {"a": 1})
    assert not await pair.one.delete(run_id, "user")


async def test_owners_never_see_each_others_runs(pair: Replicas) -> None:
    new = new_run("wait gate", owner="alice", key="k")
    await start(pair.one, new)
    await pair.one.registered(new.run_id, "alice")
    for call in (pair.two.get, pair.two.follow, pair.two.cancel):
        with pytest.raises(NotFound):
            await call(new.run_id, "bob")
    assert not await pair.two.delete(new.run_id, "bob")
    assert (await pair.two.list("bob")).total == 0
    # The same session and the same key of somebody else are other ones.
    with anyio.fail_after(TIMEOUT):
        run = await start(pair.two, new_run("say hi", owner="bob", key="k"))
        assert isinstance(await end(run), Finished)
    assert run.is_new
    assert (await pair.one.get(new.run_id, "alice")).status == "in_progress"


async def test_runs_are_forgotten_when_their_time_is_up(make: Make) -> None:
    async with make(run_ttl_minutes=0.017) as pair:
        new = new_run(key="k")
        await end(await start(pair.one, new))
        assert not await missing(pair, new.run_id)
        await until(lambda: missing(pair, new.run_id))
        assert (await pair.two.list("user")).total == 0
        assert (await start(pair.two, new_run(key="k"))).is_new


async def test_what_is_added_to_a_run_does_not_keep_it_longer(make: Make) -> None:
    async with make(run_ttl_minutes=0.017) as pair:
        new = new_run()
        await end(await start(pair.one, new))

        async def is_gone() -> bool:
            try:
                await pair.one.amend(new.run_id, "user", {"a": 1})
            except NotFound:
                return True
            return False

        assert not await is_gone()
        await until(is_gone)


async def test_a_log_that_grew_too_long_says_so(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (event_log, log_writer):
        monkeypatch.setattr(module, "MAX_LOG_WEIGHT", 20_000)
    monkeypatch.setattr(log_writer, "WRITE_SECONDS", 0.02)
    async with make() as pair:
        run = await start(pair.one, new_run("long 40"))
        run.leave()
        ending = await end(run)
        assert isinstance(ending, Finished)
        assert len(ending.output) == 80_000
        with pytest.raises(LogTruncated):
            await told(pair.two, run.record.run_id)
        assert (await pair.two.get(run.record.run_id, "user")).ending == ending


async def test_the_last_follower_who_leaves_may_end_the_run(pair: Replicas) -> None:
    gone = RunCancelled("everybody left")
    new = new_run("wait forever")
    run = await start(pair.one, new)
    await pair.one.registered(new.run_id, "user")
    other = await pair.two.follow(new.run_id, "user")
    # Word of it may take a moment.
    await until(lambda: pair.one is pair.two or _followed_elsewhere(pair, new.run_id))
    run.leave(cancel_with=gone)
    await anyio.sleep(0.05)
    assert (await pair.two.get(new.run_id, "user")).status == "in_progress"
    other.leave(cancel_with=gone)
    with anyio.fail_after(TIMEOUT):
        ending = await end(run)
    assert isinstance(ending, Failed)
    assert ending.error.message == "everybody left"


def _followed_elsewhere(pair: Replicas, run_id: str) -> bool:
    return bool(pair.one._under_way[("user", run_id)].followed_on)  # type: ignore[attr-defined]


async def test_a_follower_who_leaves_without_a_word_ends_nothing(pair: Replicas) -> None:
    new = new_run("wait gate")
    run = await start(pair.one, new)
    await pair.one.registered(new.run_id, "user")
    (await pair.two.follow(new.run_id, "user")).leave()
    run.leave()
    pair.model.gates["gate"].set()
    assert isinstance(await end(run), Finished)


# --------------------------------------------------------------------------------------------------------------- once


async def test_fifty_requests_with_one_key_are_one_run(pair: Replicas) -> None:
    said: list[bytes] = []
    new_ones: list[bool] = []
    started: list[str] = []

    async def ask(number: int) -> None:
        run = await (pair.one, pair.two)[number % 2].start(
            new_run("wait gate", key="k"), on_start=lambda: started.append("x"), on_end=nothing
        )
        new_ones.append(run.is_new)
        said.append(encode_events(await read(run)))
        run.leave(cancel_with=RunCancelled("x"))

    with anyio.fail_after(TIMEOUT):
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(ask, number)
            await until(lambda: len(new_ones) == 50)
            pair.model.gates["gate"].set()
    assert pair.model.calls == ["wait gate"]
    assert (new_ones.count(True), len(started)) == (1, 1)
    assert said == [said[0]] * 50
    # And later from the log.
    late = await start(pair.two, new_run("wait gate", key="k"))
    assert not late.is_new
    assert encode_events(await read(late)) == said[0]


async def test_a_key_that_comes_with_another_request_is_refused(pair: Replicas) -> None:
    await end(await start(pair.one, new_run("say a", key="k")))
    with pytest.raises(Conflict, match="came before") as caught:
        await start(pair.two, new_run("say b", key="k"))
    assert caught.value.code == "idempotency_key_reused"


async def test_a_run_that_may_not_start_leaves_nothing_behind(pair: Replicas) -> None:
    def refuse() -> None:
        raise TooManyRuns("enough")

    new = new_run(key="k")
    with pytest.raises(TooManyRuns):
        await pair.one.start(new, on_start=refuse, on_end=nothing)
    assert await missing(pair, new.run_id)
    run = await start(pair.two, new_run(key="k"))
    assert run.is_new
    await end(run)
    assert len(pair.model.calls) == 1


async def test_a_run_that_never_began_gives_its_key_back(make: Make) -> None:
    async with make(session_policy="reject") as pair:
        await start(pair.one, new_run("wait gate"))
        await pair.model.called("wait gate")
        refused = await start(pair.two, new_run(key="k"))
        assert isinstance(getattr(await end(refused), "error", None), Conflict)
        pair.model.gates["gate"].set()
        await until(lambda: "wait gate ends" in pair.model.diary)

        async def works() -> bool:
            run = await start(pair.two, new_run(key="k"))
            return run.is_new and isinstance(await end(run), Finished)

        await until(works)
        # It is that run's from then on, also when the one that never began is forgotten.
        assert await pair.one.delete(refused.record.run_id, "user")
        assert not (await start(pair.two, new_run(key="k"))).is_new


# ----------------------------------------------------------------------------------------------------- turns of a session


async def test_turns_of_a_session_are_answered_one_after_another_in_order(pair: Replicas) -> None:
    news = [new_run(f"say {number}") for number in range(20)]
    begun = []
    for number, new in enumerate(news):
        runs = (pair.one, pair.two)[number % 2]
        begun.append(await start(runs, new))
        await runs.registered(new.run_id, "user")
    with anyio.fail_after(TIMEOUT):
        for run in begun:
            assert isinstance(await end(run), Finished)
    assert pair.model.diary == [f"say {number} {what}" for number in range(20) for what in ("begins", "ends")]
    events = await pair.served[0].agent.memory.get_events("s")
    assert [event.content for event in events] == [
        text for number in range(20) for text in (f"say {number}", f"{number} ")
    ]


async def test_different_sessions_never_wait_for_each_other(pair: Replicas) -> None:
    await start(pair.one, new_run("wait forever", session="a"))
    await start(pair.one, new_run("say late", session="a"))
    with anyio.fail_after(TIMEOUT):
        for runs in (pair.one, pair.two):
            assert isinstance(await end(await start(runs, new_run(session="b"))), Finished)


async def test_a_busy_session_may_be_refused(make: Make) -> None:
    async with make(session_policy="reject") as pair:
        await start(pair.one, new_run("wait gate"))
        await pair.model.called("wait gate")
        refused = new_run("say no")
        run = await start(pair.two, refused)
        ending = await end(run)
        assert isinstance(ending, Failed)
        assert (type(ending.error), ending.error.code) == (Conflict, "session_busy")
        assert (await pair.one.get(refused.run_id, "user")).status == "failed"
        pair.model.gates["gate"].set()
        events = pair.served[0].agent.memory.get_events
        await until(lambda: _has(events, "before after"))
        assert isinstance(await end(await start(pair.two, new_run("say yes"))), Finished)
        assert [event.content for event in await events("s")] == [
            *("wait gate", "before after", "say yes", "yes ")
        ]


async def _has(events: Any, content: str) -> bool:
    return content in [event.content for event in await events("s")]


async def test_turns_may_overlap_where_that_is_allowed(make: Make) -> None:
    async with make(session_policy="allow") as pair:
        await start(pair.one, new_run("wait gate"))
        await pair.model.called("wait gate")
        with anyio.fail_after(TIMEOUT):
            run = await start(pair.two, new_run("say yes"))
            assert isinstance(await end(run), Finished)
