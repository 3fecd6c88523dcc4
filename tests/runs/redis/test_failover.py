"""Runs on servers of which one takes over from another: clusters, sentinels, and refusals in between."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from pais_lite.events import Finished, TextDelta
from pais_lite.resp import Argument, OutcomeUnknown, Reply
from pais_lite.runs import RedisRuns
from pais_lite.runs.codec import encode_events
from pais_lite.runs.redis import turn
from pais_lite.runs.redis.scripts import OPEN, Script
from tests.support.replicas import TIMEOUT, Replicas, end, new_run, read, replicas, start, told, under_way
from tests.support.sockets import until
from tests.support.topologies import Deployment, cluster, sentinels
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio


async def outlast(pair: Replicas, fail_over: Callable[[], None]) -> None:
    """Have a run, one that waits for its session and one to be cancelled under way, while the servers change."""
    run, later, follower = await under_way(pair)
    doomed = new_run("wait for", session="other")
    cancelled = await start(pair.one, doomed)
    await pair.one.registered(doomed.run_id, "user")
    await anyio.to_thread.run_sync(fail_over)
    pair.model.gates["gate"].set()
    assert isinstance(await end(run), Finished)
    assert isinstance(await end(later), Finished)
    said = encode_events([TextDelta("before "), *await read(follower)])
    run_id = run.record.run_id
    assert said == await told(pair.one, run_id) == await told(pair.two, run_id)
    with anyio.fail_after(TIMEOUT):
        assert (await pair.two.cancel(doomed.run_id, "user")).status == "cancelled"
    await end(cancelled)
    events = await pair.served[0].agent.memory.get_events("s")
    assert [event.content for event in events] == ["wait gate", "before after", "say later", "later "]


async def once(pair: Replicas, key: str) -> None:
    """Have the same request come to both replicas."""
    first = await start(pair.one, new_run("say once", session="once", key=key))
    assert isinstance(await end(first), Finished)
    second = await start(pair.two, new_run("say once", session="once", key=key))
    assert (second.is_new, second.record.run_id) == (False, first.record.run_id)


async def test_runs_live_on_a_cluster_and_outlast_the_death_of_the_only_node_that_was_named(
    tmp_path: Path,
) -> None:
    with cluster(tmp_path, 3, replica=True) as nodes:
        # The agent lives on the first one.
        assert nodes[0].ask("CLUSTER", "KEYSLOT", "{obedient}") == b":1864\r\n"
        async with replicas(Deployment(nodes[1].url, nodes, [])) as pair:
            await once(pair, "elsewhere")
        async with replicas(Deployment(nodes[0].url, nodes, [])) as pair:
            await outlast(pair, nodes[0].kill)
            await once(pair, "afterwards")
            assert (await pair.two.list("user")).total == 5
            for node in nodes[1:3]:
                assert node.keys() == []


async def test_runs_outlast_a_failover_that_sentinels_decide(tmp_path: Path) -> None:
    with sentinels(tmp_path) as deployment:
        primary, replica = deployment.servers
        async with replicas(deployment) as pair:
            await once(pair, "before")

            def fail_over() -> None:
                primary.ask("WAIT", "1", "1000")
                primary.kill()

            await outlast(pair, fail_over)
            await once(pair, "afterwards")
            assert (await pair.two.list("user")).total == 5
            assert b"role:master" in replica.ask("INFO", "replication")


async def test_a_server_that_refuses_everybody_makes_no_replica_dead(own_valkey: ValkeyServer) -> None:
    async with replicas(own_valkey) as pair:
        new = new_run("wait gate")
        run = await start(pair.one, new)
        await pair.one.registered(new.run_id, "user")
        # As a primary that was replaced, until it is back.
        own_valkey.ask("REPLICAOF", "127.0.0.1", "1")
        refused = await start(pair.two, new_run("say no", session="other"))
        assert not isinstance(await end(refused), Finished)
        own_valkey.ask("REPLICAOF", "NO", "ONE")
        # Nobody could say that it lives, and the time for that is over.
        for replica in re.findall(r"pais:{obedient}:replica:\w+", " ".join(own_valkey.keys())):
            own_valkey.ask("DEL", replica)
        assert (await pair.two.get(new.run_id, "user")).status == "in_progress"
        pair.model.gates["gate"].set()
        assert isinstance(await end(run), Finished)


async def test_a_run_that_was_given_the_session_without_hearing_so_goes_on(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "_ASK_SECONDS", 0.1)
    async with replicas(valkey) as pair:
        first = await start(pair.one, new_run("wait a"))
        await pair.one.registered(first.record.run_id, "user")
        assert isinstance(pair.two, RedisRuns)
        store = pair.two._store
        run_script: Callable[..., Awaitable[Reply]] = store.run_script
        lost: list[Reply] = []

        async def losing(script: Script, keys: Any, *arguments: Argument, idempotent: bool = True) -> Reply:
            reply = await run_script(script, keys, *arguments, idempotent=idempotent)
            if script is OPEN and reply[0] == b"open" and not lost:
                lost.append(reply)
                raise OutcomeUnknown("the connection to the Redis server was lost before the reply came")
            return reply

        monkeypatch.setattr(store, "run_script", losing)
        second = await start(pair.two, new_run("say b"))
        await pair.two.registered(second.record.run_id, "user")
        pair.model.gates["a"].set()
        assert isinstance(await end(first), Finished)
        assert isinstance(await end(second), Finished)
        assert lost
        events = await pair.served[0].agent.memory.get_events("s")
        assert [event.content for event in events] == ["wait a", "before after", "say b", "b "]
        # The model saw what was before, and its turn once.
        assert pair.model.histories["say b"] == ["wait a", "before after", "say b"]


async def test_an_end_that_was_cut_short_in_the_server_is_finished_when_it_is_told_again(
    valkey: ValkeyServer,
) -> None:
    async with replicas(valkey) as pair:
        assert isinstance(pair.one, RedisRuns)
        # It lives on, and so does its place in the line.
        pair.one.open()
        new = new_run("wait gate")
        run = await start(pair.one, new)
        await pair.one.registered(new.run_id, "user")
        # As a key that has gone to another node makes it: the script fails after its first writes.
        index = "pais:{obedient}:runs:user:chat"
        valkey.ask("DEL", index)
        valkey.ask("SET", index, "no-set")
        pair.model.gates["gate"].set()
        record = f"pais:{{obedient}}:run:user:{new.run_id}"
        await until(lambda: b"completed" in valkey.ask("HGET", record, "status"))
        valkey.ask("DEL", index)
        assert isinstance(await end(run), Finished)
        assert isinstance(await end(await start(pair.two, new_run("say next"))), Finished)
        assert valkey.ask("SCARD", f"pais:{{obedient}}:owned:{pair.one._store.replica}") == b":0\r\n"
        events = await pair.served[0].agent.memory.get_events("s")
        assert [event.content for event in events] == ["wait gate", "before after", "say next", "next "]
