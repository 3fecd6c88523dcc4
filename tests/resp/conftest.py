"""Servers for these tests: real ones, on free ports."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.valkey import ValkeyServer


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tmp_dir() -> Iterator[Path]:
    # Short, for the paths of Unix sockets.
    with tempfile.TemporaryDirectory(prefix="resp-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[ValkeyServer]:
    """One server for all tests that leave it running; its databases are flushed by who needs that."""
    with tempfile.TemporaryDirectory(prefix="resp-", dir="/tmp") as directory:
        path = Path(directory)
        server = ValkeyServer(path, "--save", "", "--unixsocket", str(path / "redis.sock"))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def server(shared_server: ValkeyServer) -> ValkeyServer:
    shared_server.ask("FLUSHALL")
    return shared_server


@pytest.fixture
def own_server(tmp_dir: Path) -> Iterator[ValkeyServer]:
    """A server that the test may kill."""
    server = ValkeyServer(tmp_dir, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.kill()
