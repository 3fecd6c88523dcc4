"""Clusters and sentinels: real ones, small and quick."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from pais_lite.resp import Client, ConnectionFailed, OutcomeUnknown, ServerError
from tests.support.ports import free_port
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the servers did not get ready"
        time.sleep(0.02)


@pytest.fixture
def cluster(tmp_dir: Path) -> Iterator[list[ValkeyServer]]:
    nodes: list[ValkeyServer] = []
    buses: list[str] = []
    for name in ("a", "b"):
        directory = tmp_dir / name
        directory.mkdir()
        # By default the bus is 10,000 ports above, which a free port may not have above it.
        buses.append(str(free_port()))
        options = [
            "--cluster-enabled",
            "yes",
            "--cluster-port",
            buses[-1],
            "--cluster-require-full-coverage",
            "no",
        ]
        nodes.append(ValkeyServer(directory, "--save", "", *options))
    for node in nodes:
        node.start()
    try:
        nodes[0].ask("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
        nodes[1].ask("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
        nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", str(nodes[1].port), buses[1])
        until(lambda: all(b"cluster_slots_assigned:16384" in node.ask("CLUSTER", "INFO") for node in nodes))
        until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            node.kill()


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


async def test_a_moved_to_node_that_dies_is_forgotten(cluster: list[ValkeyServer]) -> None:
    async with Client(cluster[0].url) as client:
        with anyio.fail_after(20):
            await client.execute("INCR", "foo")
            cluster[1].kill()
            with pytest.raises((ConnectionFailed, OutcomeUnknown)):
                await client.execute("INCR", "foo")
            # The first node still answers for its own half.
            assert await client.execute("INCR", "bar") == 1


async def test_moving_to_and_fro_is_bounded(cluster: list[ValkeyServer]) -> None:
    async with Client(cluster[0].url) as client:
        with anyio.fail_after(20):
            # One pipeline over two slots is more than this client is made for; its caller sees what was refused.
            replies = await client.pipeline([("INCR", "foo"), ("INCR", "bar")], raise_errors=False)
            assert sorted(type(reply).__name__ for reply in replies) == ["ServerError", "int"]


@pytest.fixture
def sentinels(tmp_dir: Path) -> Iterator[tuple[list[ValkeyServer], list[ValkeyServer]]]:
    """Start a primary, a replica and three sentinels that agree."""
    servers: list[ValkeyServer] = []
    watchers: list[ValkeyServer] = []
    try:
        for name in ("primary", "replica"):
            directory = tmp_dir / name
            directory.mkdir()
            follow = ["--replicaof", f"127.0.0.1 {servers[0].port}"] if servers else []
            one = ValkeyServer(directory, "--save", "", "--repl-diskless-sync-delay", "0", *follow)
            servers.append(one)
            one.start()
        until(lambda: b"master_link_status:up" in servers[1].ask("INFO", "replication"))
        for name in ("s1", "s2", "s3"):
            directory = tmp_dir / name
            directory.mkdir()
            config = directory / "sentinel.conf"
            config.write_text(
                f"sentinel monitor pais 127.0.0.1 {servers[0].port} 2\n"
                "sentinel down-after-milliseconds pais 500\n"
                "sentinel failover-timeout pais 4000\n"
            )
            watcher = ValkeyServer(directory, str(config), "--sentinel")
            watchers.append(watcher)
            watcher.start()
        agreed = b"slaves=1,sentinels=3"
        until(lambda: all(agreed in watcher.ask("INFO", "sentinel") for watcher in watchers))
        yield servers, watchers
    finally:
        for each in [*watchers, *servers]:
            each.kill()


def sentinel_url(watchers: list[ValkeyServer], service: str = "pais") -> str:
    hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
    return f"redis+sentinel://{hosts}/{service}?connect_timeout=1&command_timeout=1"


async def test_failover_is_followed(sentinels: tuple[list[ValkeyServer], list[ValkeyServer]]) -> None:
    servers, watchers = sentinels
    async with Client(sentinel_url(watchers)) as client:
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


async def test_a_service_that_no_sentinel_knows(
    sentinels: tuple[list[ValkeyServer], list[ValkeyServer]],
) -> None:
    servers, watchers = sentinels
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
