"""The socket that `pais run` listens on."""

import socket
import sys
from collections.abc import Iterator

import pytest

from pais_lite.cli.serving import bind


@pytest.fixture
def accepted() -> Iterator[socket.socket]:
    """The server's end of a connection."""
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            yield connection


def test_what_is_written_is_sent_at_once(accepted: socket.socket) -> None:
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# The options are Linux's own. Elsewhere the server works without them, as `bind` does.
@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux gives up on unread bytes, and holds few unsent"
)
def test_connections_of_clients_who_never_read_are_given_up_by_the_kernel(accepted: socket.socket) -> None:
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 65_536
