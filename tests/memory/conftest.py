"""A server for the tests of memory."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.valkey import ValkeyServer


@pytest.fixture(scope="package")
def shared_valkey() -> Iterator[ValkeyServer]:
    """One server for all tests that leave it running."""
    with tempfile.TemporaryDirectory() as folder:
        server = ValkeyServer(Path(folder), "--save", "")
        server.start()
        yield server
        server.kill()


@pytest.fixture
def valkey(shared_valkey: ValkeyServer) -> ValkeyServer:
    """That server, empty."""
    shared_valkey.ask("FLUSHALL")
    return shared_valkey
