"""What `RedisRuns` promises beside what every store does: trips, keys, fences, and a server that goes away."""

import re
from collections.abc import AsyncIterator

import anyio
import anyio.to_thread
import pytest
from pydantic_ai import Agent

from pais_lite import AgentServer, serve
from pais_lite.errors import Conflict, MemoryUnavailable, RunCancelled, RunLost
from pais_lite.events import Failed, Finished, TextDelta
from pais_lite.runs.codec import encode_events
from pais_lite.runs.redis import followers, log_writer, replica
from pais_lite.runs.redis.scripts import APPEND, BEAT, CLAIM, CLOSE, LOG, OPEN
from tests.support.asgi import ask, chat
from tests.support.replicas import (
    TIMEOUT,
    Replicas,
    end,
    new_run,
    nothing,
    read,
    replicas,
    start,
    told,
    under_way,
)
from tests.support.sockets import until
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
# What a replica does beside requests, when it does.
BACKGROUND = {"XREAD", "HELLO", "PING", "CLIENT", BEAT.digest, LOG.digest}


@pytest.fixture
async def pair(valkey: ValkeyServer) -> AsyncIterator[Replicas]:
    async with replicas(valkey) as pair:
        yield pair


def trips(seen: list[list[str]]) -> list[str]:
    """Return what was sent, of which each was a trip of its own, without what nobody waited for."""
    words = [command[1] if command[0] == "EVALSHA" else command[0] for command in seen]
    return [word for word in words if word not in BACKGROUND]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_chat_request_takes_two_round_trips_and_a_tool_call_two_more(
    valkey: ValkeyServer, stream: bool
) -> None:
    agent = Agent()

    @agent.tool_plain
    def look() -> str:
        return "ok"

    call = {"tool_calls": [{"name": "look", "arguments": {}}]}
    expected = [OPEN.digest, CLOSE.digest]
    for script, appends in (["hi"], 0), ([call, "hi"], 2):
        server = serve(agent, debug_mock_responses=script, memory_type="redis", memory_redis_url=valkey.url)
        async with server.lifespan():
            await ask(server, "POST", CHAT, chat(session_id="s", stream=stream))
            with valkey.watching() as seen:
                answer = await ask(server, "POST", CHAT, chat(session_id="s", stream=stream))
            assert answer.status == 200
            assert trips(seen) == [expected[0], *[APPEND.digest] * appends, expected[1]]
            # A key is one trip more. Where the server has not seen the script for it, its text follows.
            for key in ("first", "second"):
                with valkey.watching() as seen:
                    headers = {"idempotency-key": f"{key} {appends}"}
                    await ask(server, "POST", CHAT, chat(session_id="s"), headers)
            assert trips(seen) == [CLAIM.digest, expected[0], *[APPEND.digest] * appends, expected[1]]


async def test_a_call_that_waits_and_its_answer_take_no_more_round_trips_than_any_other(
    valkey: ValkeyServer,
) -> None:
    agent = Agent()

    @agent.tool_plain(requires_approval=True)
    def burn() -> str:
        return "ashes"

    # Going on, the session is told of the answer, and of the result of the agent's own tool.
    for name, content, appends in (("clock", "12:00", 1), ("burn", '{"approved": true}', 2)):
        says = [{"tool_calls": [{"name": name, "arguments": {}}]}, "Done."]
        server = serve(agent, debug_mock_responses=says, memory_type="redis", memory_redis_url=valkey.url)
        body = chat(session_id=name, tools=[{"type": "function", "function": {"name": "clock"}}])
        rounds = []
        async with server.lifespan():
            # The first round opens the connection and brings the scripts to the server.
            for _ in range(2):
                with valkey.watching() as pausing:
                    paused = await ask(server, "POST", CHAT, body)
                (waiting,) = paused.json()["choices"][0]["message"]["tool_calls"]
                answer = {"role": "tool", "tool_call_id": waiting["id"], "content": content}
                with valkey.watching() as resuming:
                    done = await ask(server, "POST", CHAT, {**body, "messages": [answer]})
                assert done.json()["choices"][0]["message"]["content"] == "Done."
                rounds.append((trips(pausing), trips(resuming)))
        assert rounds[-1] == (
            [OPEN.digest, CLOSE.digest],
            [OPEN.digest, *[APPEND.digest] * appends, CLOSE.digest],
        )


async def test_all_keys_share_one_slot_and_expire(valkey: ValkeyServer, pair: Replicas) -> None:
    pair.one.open()
    run = await start(pair.one, new_run("wait gate", key="k:{x} y"))
    waiting = await start(pair.two, new_run())
    follower = await pair.two.follow(run.record.run_id, "user")
    await pair.model.called("wait gate")
    await until(lambda: any(":log:" in key for key in valkey.keys()))  # noqa: SIM118 - a server is no dict
    await pair.two.registered(waiting.record.run_id, "user")
    lasting = valkey.keys()
    pair.model.gates["gate"].set()
    await end(waiting)
    follower.leave()
    ended = valkey.keys()
    kinds = {key.split(":")[2] for key in lasting}
    assert kinds >= {"run", "log", "runs", "turns", "once", "replica", "replicas", "owned", "mail"}
    for key in {*lasting, *ended}:
        assert key.startswith("pais:{obedient}:")
        # A key that has gone meanwhile has -2.
        if "y" not in key.split(":")[-1]:
            assert int(valkey.ask("TTL", key)[1:]) != -1, key
    for served in pair.served:
        await served.close()
    left = {key.split(":")[2] for key in valkey.keys()}  # noqa: SIM118 - a server is no dict
    assert left == {"run", "log", "runs", "once", "session", "events", "sessions"}


async def test_a_run_is_fenced_once_the_others_took_it_for_dead(valkey: ValkeyServer, pair: Replicas) -> None:
    first, second = new_run("wait a"), new_run("wait b")
    run = await start(pair.one, first)
    await pair.model.called("wait a")
    # Its sign of life expires, though it lives.
    replica = re.findall(r"pais:{obedient}:replica:(\w+)", " ".join(valkey.keys()))
    valkey.ask("DEL", f"pais:{{obedient}}:replica:{replica[0]}")
    after = await start(pair.two, second)
    await pair.model.called("wait b")
    lost = await pair.two.get(first.run_id, "user")
    assert lost.status == "failed"
    assert type(getattr(lost.ending, "error", None)) is RunLost
    pair.model.gates["a"].set()
    ending = await end(run)
    # Who follows it there hears what everybody hears, and nothing of it is written.
    assert isinstance(ending, Failed)
    assert type(ending.error) is RunLost
    pair.model.gates["b"].set()
    assert isinstance(await end(after), Finished)
    events = await pair.served[1].agent.memory.get_events("s")
    assert [event.content for event in events] == ["wait a", "wait b", "before after"]
    assert await told(pair.one, first.run_id) == await told(pair.two, first.run_id)
    assert (await pair.one.get(first.run_id, "user")).ending is not None


async def test_followers_of_a_replica_that_gives_no_sign_of_life_hear_that_their_run_is_lost(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica, "_BEAT_SECONDS", 0.1)
    async with replicas(valkey) as pair:
        new, waiting = new_run("wait a", key="k"), new_run("wait b")
        run = await start(pair.one, new)
        await pair.model.called("wait a")
        queued = await start(pair.one, waiting)
        await pair.one.registered(waiting.run_id, "user")
        followed = [await pair.two.follow(each.run_id, "user") for each in (new, waiting)]
        # It falls silent, and time goes by.
        monkeypatch.setattr(pair.one._replica, "_on_beat", anyio.lowlevel.checkpoint)  # type: ignore[attr-defined]
        silent = pair.one._store.replica  # type: ignore[attr-defined]
        valkey.ask("DEL", f"pais:{{obedient}}:replica:{silent}")
        valkey.ask("ZADD", "pais:{obedient}:replicas", "1", silent)
        for follower in followed:
            ending = (await read(follower))[-1]
            assert isinstance(ending, Failed)
            assert type(ending.error) is RunLost
        # Nothing of them is left in the way of the next turn.
        assert isinstance(await end(await start(pair.two, new_run())), Finished)
        assert int(valkey.ask("TTL", "pais:{obedient}:once:user:k")[1:]) <= 3600
        pair.model.gates["a"].set()
        assert type(getattr(await end(run), "error", None)) is RunLost
        assert type(getattr(await end(queued), "error", None)) is RunLost
        assert pair.model.calls == ["wait a", "say hello there"]


async def test_a_long_log_is_read_some_entries_at_a_time(
    valkey: ValkeyServer, pair: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "WRITE_SECONDS", 0.02)
    for module in (followers, replica):
        monkeypatch.setattr(module, "ENTRIES_AT_ONCE", 2)
    new = new_run("long 20")
    run = await start(pair.one, new)
    await pair.one.registered(new.run_id, "user")
    live = await pair.two.follow(new.run_id, "user")
    said = encode_events(await read(run))
    assert encode_events(await read(live)) == said
    assert int(valkey.ask("XLEN", f"pais:{{obedient}}:log:user:{new.run_id}")[1:]) > 4
    assert await told(pair.two, new.run_id) == said


async def test_what_a_run_says_after_its_last_follower_has_left_is_no_mail(
    valkey: ValkeyServer, pair: Replicas, caplog: pytest.LogCaptureFixture
) -> None:
    new, other = new_run("wait a"), new_run("wait b", session="other")
    run = await start(pair.one, new)
    await pair.one.registered(new.run_id, "user")
    follower = await pair.two.follow(new.run_id, "user")
    with anyio.fail_after(TIMEOUT):
        await follower.next_events()
    # The server is asked for both by then.
    await until(lambda: b"blocked_clients:2" in valkey.ask("INFO", "clients"))
    follower.leave()
    pair.model.gates["a"].set()
    assert isinstance(await end(run), Finished)
    # Mail is read all the same.
    await start(pair.two, other)
    await pair.two.registered(other.run_id, "user")
    with anyio.fail_after(TIMEOUT):
        assert (await pair.one.cancel(other.run_id, "user")).status == "cancelled"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_who_lost_its_session_with_the_servers_data_does_not_write_over_another(
    valkey: ValkeyServer, pair: Replicas
) -> None:
    first = await start(pair.one, new_run("wait a"))
    await pair.model.called("wait a")
    valkey.ask("FLUSHALL")
    second = await start(pair.two, new_run("wait b"))
    await pair.model.called("wait b")
    pair.model.gates["a"].set()
    ending = await end(first)
    assert isinstance(ending, Failed)
    assert type(ending.error) is Conflict
    pair.model.gates["b"].set()
    assert isinstance(await end(second), Finished)
    events = await pair.served[1].agent.memory.get_events("s")
    assert [event.content for event in events] == ["wait b", "before after"]


async def test_a_server_that_forgot_everything_hears_of_a_run_again(
    valkey: ValkeyServer, pair: Replicas
) -> None:
    new = new_run("wait a", details={"x": 1})
    run = await start(pair.one, new)
    await pair.model.called("wait a")
    valkey.ask("FLUSHALL")
    assert (await pair.one.get(new.run_id, "user")).status == "in_progress"
    pair.model.gates["a"].set()
    assert isinstance(await end(run), Finished)
    record = await pair.two.get(new.run_id, "user")
    assert (record.status, record.details) == ("completed", {"x": 1})


async def test_registering_raises_what_kept_a_run_from_it(valkey: ValkeyServer) -> None:
    async with replicas(valkey, session_policy="reject") as pair:
        await start(pair.one, new_run("wait forever"))
        await pair.model.called("wait forever")
        refused = new_run("say no")
        await start(pair.two, refused)
        with pytest.raises(Conflict, match="still being answered"):
            await pair.two.registered(refused.run_id, "user")


async def test_a_run_that_is_cancelled_while_it_opens_does_not_keep_the_session(
    own_valkey: ValkeyServer,
) -> None:
    async with replicas(own_valkey) as pair:
        assert isinstance(await end(await start(pair.one, new_run())), Finished)
        own_valkey.pause()
        run = await start(pair.one, new_run("say never"))
        # The question is on its way, and its answer is not.
        await anyio.sleep(0.1)
        run.leave(cancel_with=RunCancelled("gone"))
        await anyio.sleep(0.1)
        own_valkey.resume()
        assert isinstance(await end(run), Failed)
        assert isinstance(await end(await start(pair.two, new_run("say next"))), Finished)
        assert "say never" not in pair.model.calls
        assert (await pair.two.get(run.record.run_id, "user")).status == "cancelled"


async def test_a_claim_whose_holder_died_is_free_again(valkey: ValkeyServer, pair: Replicas) -> None:
    new = new_run(key="k")
    assert new.once is not None
    key = "pais:{obedient}:once:user:k"
    # As a replica leaves it that dies between its claim and its run.
    valkey.ask("SET", key, f'"resp_gone {new.once.fingerprint}"', "PX", "300")
    run = await start(pair.one, new)
    assert run.is_new
    assert isinstance(await end(run), Finished)


async def test_followers_and_runs_outlast_a_restart_of_the_server(own_valkey: ValkeyServer) -> None:
    async with replicas(own_valkey) as pair:
        run, later, follower = await under_way(pair)
        await anyio.to_thread.run_sync(own_valkey.kill)
        pair.model.gates["gate"].set()
        with anyio.move_on_after(0.5):
            await run.ending()
        assert run.maybe_ending is None
        await anyio.to_thread.run_sync(own_valkey.start)
        assert isinstance(await end(run), Finished)
        rest = await read(follower)
        assert rest[0] == TextDelta("after")
        assert encode_events([TextDelta("before "), *rest]) == await told(pair.one, run.record.run_id)
        assert isinstance(await end(later), Finished)
        events = await pair.served[0].agent.memory.get_events("s")
        assert [event.content for event in events] == ["wait gate", "before after", "say later", "later "]


async def test_an_end_that_could_not_be_stored_is_stored_later(own_valkey: ValkeyServer) -> None:
    async with replicas(own_valkey) as pair:
        for served in pair.served:
            served.agent.memory.retry_seconds = 0  # type: ignore[attr-defined]
        new = new_run("wait gate")
        run = await start(pair.one, new)
        await pair.one.registered(new.run_id, "user")
        await anyio.to_thread.run_sync(own_valkey.kill)
        pair.model.gates["gate"].set()
        ending = await end(run)
        assert isinstance(ending, Failed)
        assert type(ending.error) is MemoryUnavailable
        await anyio.to_thread.run_sync(own_valkey.start)

        async def failed() -> bool:
            return (await pair.two.get(new.run_id, "user")).status == "failed"

        await until(failed)
        follower = await pair.two.follow(new.run_id, "user")
        assert isinstance((await read(follower))[-1], Failed)


async def test_without_a_server_everything_says_so_at_once(own_valkey: ValkeyServer) -> None:
    async with replicas(own_valkey, count=1) as alone:
        own_valkey.kill()
        new = new_run(key="k")
        with anyio.fail_after(TIMEOUT):
            for call in (alone.one.get, alone.one.follow, alone.one.cancel, alone.one.delete):
                with pytest.raises(MemoryUnavailable):
                    await call("resp_x", "user")
            with pytest.raises(MemoryUnavailable):
                await alone.one.start(new, on_start=nothing, on_end=nothing)
            with pytest.raises(MemoryUnavailable):
                await alone.one.list("user")
            run = await start(alone.one, new_run())
            with pytest.raises(MemoryUnavailable):
                await alone.one.registered(run.record.run_id, "user")
            ending = await end(run)
            assert isinstance(ending, Failed)
            assert type(ending.error) is MemoryUnavailable


async def test_a_drain_lets_detached_runs_finish_and_their_ends_be_stored(valkey: ValkeyServer) -> None:
    def make(grace: float) -> AgentServer:
        agent = Agent(name="detached")

        @agent.tool_plain
        async def rest(seconds: float) -> str:
            await anyio.sleep(seconds)
            return "rested"

        return serve(
            agent,
            debug_mock_responses=[{"tool_calls": [{"name": "rest", "arguments": {"seconds": 0.7}}]}, "done"],
            memory_type="redis",
            memory_redis_url=valkey.url,
            shutdown_grace_seconds=grace,
        )

    statuses = []
    for grace in (5.0, 0.1):
        server = make(grace)
        runs = server.served[0].runs
        async with server.lifespan():
            new = new_run("rest", session=str(grace))
            server._admission.enter("user")
            await runs.start(new, on_start=nothing, on_end=lambda: server._admission.leave("user"))  # noqa: B023
            await runs.registered(new.run_id, "user")
        other = make(1)
        async with other.lifespan():
            record = await other.served[0].runs.get(new.run_id, "user")
            statuses.append((record.status, getattr(getattr(record.ending, "error", None), "code", None)))
    assert statuses == [("completed", None), ("failed", "server_shutdown")]
