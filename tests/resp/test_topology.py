"""Clusters and sentinels: real ones, small and quick."""

import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from pais_lite.resp import Client, ConnectionFailed, OutcomeUnknown, ServerError
from tests.support import topologies
from tests.support.ports import free_port
from tests.support.topologies import Deployment, sentinel_url
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def mortal_cluster(tmp_dir: Path) -> Iterator[list[ValkeyServer]]:
    """A cluster of which the test may kill nodes."""
    with topologies.cluster(tmp_dir, 2) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ValkeyServer]]:
    """One cluster for all tests that leave it running."""
    with topologies.cluster(tmp_path_factory.mktemp("cluster"), 2) as nodes:
        yield nodes


def commands_run(node: ValkeyServer) -> int:
    match = re.search(rb"cmdstat_incr:calls=(\d+)", node.ask("INFO", "commandstats"))
    return int(match[1]) if match else 0


async def test_moved_is_followed_once_and_remembered(cluster: list[ValkeyServer]) -> None:
    # CLUSTER KEYSLOT foo is 12182 and of bar 5061.
    for key, owner in (("{foo}", 1), ("{bar}", 0)):
        for start in (0, 1):
            async with Client(f"redis://127.0.0.1:{cluster[start].port}?client_name=mover") as client:
                with anyio.fail_after(10):
                    before = commands_run(cluster[owner])
                    async with anyio.create_task_group() as group:
                        for _ in range(10):
                            group.start_soon(client.execute, "INCR", f"{key}:n")
                    replies = await client.transaction([("INCR", f"{key}:n"), ("INCR", f"{key}:n")])
                    assert replies[1] - replies[0] == 1
                    assert len(await client.pipeline([("INCR", f"{key}:n"), ("INCR", f"{key}:n")])) == 2
                    assert commands_run(cluster[owner]) - before == 14
                    assert b"name=mover" in cluster[owner].ask("CLIENT", "LIST")
                    if start != owner:
                        assert b"name=mover" not in cluster[start].ask("CLIENT", "LIST")


async def test_a_moved_to_node_that_dies_is_forgotten(mortal_cluster: list[ValkeyServer]) -> None:
    async with Client(mortal_cluster[0].url) as client:
        with anyio.fail_after(20):
            await client.execute("INCR", "foo")
            mortal_cluster[1].kill()
            # What the other one has to say is that the key is still there.
            with pytest.raises((ConnectionFailed, OutcomeUnknown, ServerError)) as caught:
                await client.execute("INCR", "foo")
            assert not isinstance(caught.value, ServerError) or caught.value.word == "MOVED"
            # The first node still answers for its own half.
            assert await client.execute("INCR", "bar") == 1


async def test_a_node_that_was_never_named_leads_on_when_the_one_that_was_has_died(
    mortal_cluster: list[ValkeyServer],
) -> None:
    async with Client(mortal_cluster[0].url) as client:
        with anyio.fail_after(20):
            await client.execute("INCR", "bar")
            mortal_cluster[0].kill()
            # It is the second node's key, and only the first one could have said so.
            assert await client.execute("INCR", "foo", idempotent=True) == 1


async def test_any_of_the_nodes_that_are_named_will_do(cluster: list[ValkeyServer]) -> None:
    away = f"127.0.0.1:{free_port()}"
    hosts = ",".join([away, *(f"127.0.0.1:{node.port}" for node in cluster)])
    async with Client(f"redis://{hosts}", attempts=2) as client:
        with anyio.fail_after(10):
            for key in ("{foo}:there", "{bar}:there"):
                await client.execute("SET", key, "here")
                assert await client.execute("GET", key) == b"here"


async def test_moving_to_and_fro_is_bounded(cluster: list[ValkeyServer]) -> None:
    async with Client(cluster[0].url) as client:
        with anyio.fail_after(20):
            # One pipeline over two slots is more than this client is made for; its caller sees what was refused.
            replies = await client.pipeline([("INCR", "foo"), ("INCR", "bar")], raise_errors=False)
            assert sorted(type(reply).__name__ for reply in replies) == ["ServerError", "int"]


@pytest.fixture
def sentinels(tmp_dir: Path) -> Iterator[Deployment]:
    with topologies.sentinels(tmp_dir) as deployment:
        yield deployment


async def test_failover_is_followed(sentinels: Deployment) -> None:
    servers, watchers = sentinels.servers, sentinels.watchers
    async with Client(sentinels.url) as client:
        with anyio.fail_after(28):
            assert await client.execute("INCR", "n") == 1
            # One sentinel fewer must not matter either.
            watchers[0].kill()
            servers[0].ask("WAIT", "1", "1000")
            servers[0].kill()
            value = 0
            while value == 0:
                try:
                    value = await client.execute("INCR", "n", idempotent=True)
                except (ConnectionFailed, OutcomeUnknown, ServerError):
                    await anyio.sleep(0.05)
            assert value >= 2
            assert b"role:master" in servers[1].ask("INFO", "replication")
            assert await client.execute("GET", "n") == b"%d" % value


async def test_a_service_that_no_sentinel_knows(sentinels: Deployment) -> None:
    servers, watchers = sentinels.servers, sentinels.watchers
    with anyio.fail_after(10):
        async with Client(sentinel_url(watchers, "other"), attempts=1) as client:
            with pytest.raises(ConnectionFailed, match="no sentinel knows"):
                await client.ping()
        # A server whose role is not what its sentinels believe is refused.
        servers[1].ask("CONFIG", "SET", "replica-read-only", "no")
        for watcher in watchers:
            watcher.ask("SENTINEL", "REMOVE", "pais")
            watcher.ask("SENTINEL", "MONITOR", "pais", "127.0.0.1", str(servers[1].port), "3")
            watcher.ask("SENTINEL", "SET", "pais", "down-after-milliseconds", "600000")
        async with Client(sentinel_url(watchers), attempts=2) as client:
            with pytest.raises(ConnectionFailed, match="not a primary"):
                await client.ping()
