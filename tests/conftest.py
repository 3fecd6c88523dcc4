"""What every test shares."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pais_lite import Settings
from tests.support.valkey import ValkeyServer


@pytest.fixture
def anyio_backend() -> str:
    """Agents need asyncio; tests of what runs on trio as well say so themselves."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the settings of whoever runs the tests, and any `.env` around, out of them."""
    known = {field.upper() for field in Settings.__dataclass_fields__} | {"LOG_LEVEL"}
    for name in list(os.environ):
        if name in known or name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[ValkeyServer]:
    """One server, on a port and a Unix socket, for all tests that leave it running."""
    # Short, for the path of the socket.
    with tempfile.TemporaryDirectory(prefix="valkey-", dir="/tmp") as directory:
        path = Path(directory)
        server = ValkeyServer(path, "--save", "", "--unixsocket", str(path / "redis.sock"))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def valkey(shared_valkey: ValkeyServer) -> ValkeyServer:
    """That server, empty."""
    shared_valkey.ask("FLUSHALL")
    return shared_valkey


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that the test may kill; what it has said yes to outlasts that."""
    server = ValkeyServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.kill()
