"""Clusters and sentinels: real ones, small and quick."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port
from tests.support.valkey import ValkeyServer

# How soon the servers hold another one for dead.
NODE_TIMEOUT_MS = 1000


@dataclass
class Deployment:
    """Several servers that are one to their clients, who find them by the URL."""

    url: str
    servers: list[ValkeyServer]
    # Those who only watch the others.
    watchers: list[ValkeyServer]


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for servers, outside of any event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the servers did not get ready"
        time.sleep(0.02)


def _started_node(directory: Path, number: int) -> tuple[ValkeyServer, str]:
    """Return a node that runs, and the port of its bus. A port that was free may be somebody else's a moment later."""
    for attempt in range(3):
        place = directory / f"node{number}-{attempt}"
        place.mkdir()
        # By default the bus is 10,000 ports above, which a free port may not have above it.
        bus = str(free_port())
        options = {
            "cluster-enabled": "yes",
            "cluster-port": bus,
            "cluster-require-full-coverage": "no",
            "cluster-node-timeout": str(NODE_TIMEOUT_MS),
            "cluster-replica-validity-factor": "0",
            "repl-diskless-sync-delay": "0",
            "save": "",
        }
        node = ValkeyServer(
            place, *[word for name, value in options.items() for word in (f"--{name}", value)]
        )
        try:
            node.start()
        except AssertionError:
            node.kill()
            continue
        return node, bus
    raise AssertionError("no node of the cluster started")


@contextlib.contextmanager
def cluster(directory: Path, primaries: int, *, replica: bool = False) -> Iterator[list[ValkeyServer]]:
    """Run primaries that have an equal part of the slots each, and perhaps a replica of the first, which comes last."""
    nodes: list[ValkeyServer] = []
    buses: list[str] = []
    try:
        for number in range(primaries + replica):
            node, bus = _started_node(directory, number)
            nodes.append(node)
            buses.append(bus)
        bounds = [16384 * number // primaries for number in range(primaries + 1)]
        for number in range(primaries):
            nodes[number].ask("CLUSTER", "ADDSLOTSRANGE", str(bounds[number]), str(bounds[number + 1] - 1))
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", str(node.port), bus)
        until(lambda: all(b"cluster_slots_assigned:16384" in node.ask("CLUSTER", "INFO") for node in nodes))
        until(lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in nodes))
        if replica:
            name = nodes[0].ask("CLUSTER", "MYID").split(b"\r\n")[1].decode()
            until(lambda: b"OK" in nodes[-1].ask("CLUSTER", "REPLICATE", name))
            until(lambda: b"master_link_status:up" in nodes[-1].ask("INFO", "replication"))
            until(lambda: all(_knows_a_replica(node) for node in nodes))
        yield nodes
    finally:
        for node in nodes:
            node.kill()


@contextlib.contextmanager
def sentinels(directory: Path) -> Iterator[Deployment]:
    """Run a primary, a replica and three sentinels that agree."""
    servers: list[ValkeyServer] = []
    watchers: list[ValkeyServer] = []
    try:
        for name in ("primary", "replica"):
            place = directory / name
            place.mkdir()
            follow = ["--replicaof", f"127.0.0.1 {servers[0].port}"] if servers else []
            one = ValkeyServer(place, "--save", "", "--repl-diskless-sync-delay", "0", *follow)
            servers.append(one)
            one.start()
        until(lambda: b"master_link_status:up" in servers[1].ask("INFO", "replication"))
        for name in ("s1", "s2", "s3"):
            place = directory / name
            place.mkdir()
            config = place / "sentinel.conf"
            config.write_text(
                f"sentinel monitor pais 127.0.0.1 {servers[0].port} 2\n"
                "sentinel down-after-milliseconds pais 500\n"
                "sentinel failover-timeout pais 4000\n"
            )
            watcher = ValkeyServer(place, str(config), "--sentinel")
            watchers.append(watcher)
            watcher.start()
        agreed = b"slaves=1,sentinels=3"
        until(lambda: all(agreed in watcher.ask("INFO", "sentinel") for watcher in watchers))
        yield Deployment(sentinel_url(watchers), servers, watchers)
    finally:
        for each in [*watchers, *servers]:
            each.kill()


def sentinel_url(watchers: list[ValkeyServer], service: str = "pais") -> str:
    """Return the URL that leads to what they watch."""
    hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
    return f"redis+sentinel://{hosts}/{service}?connect_timeout=1&command_timeout=1"


def _knows_a_replica(node: ValkeyServer) -> bool:
    return re.search(rb"[ ,]slave [0-9a-f]{40} ", node.ask("CLUSTER", "NODES")) is not None
