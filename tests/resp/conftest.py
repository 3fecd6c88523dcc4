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


@pytest.fixture
def server(valkey: ValkeyServer) -> ValkeyServer:
    """A server for a test that leaves it running."""
    return valkey


@pytest.fixture
def own_server(own_valkey: ValkeyServer) -> ValkeyServer:
    """A server that the test may kill."""
    return own_valkey
