"""Where the nodes of a cluster are: what MOVED names, and what CLUSTER SLOTS lists.

The rules: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/. A client of ours works on one slot,
so it keeps no table of slots. It goes where MOVED leads, and asks any node when the one that it was led to is gone.
"""

from collections.abc import Iterator

from pais_lite.resp.commands import encode_command
from pais_lite.resp.connection import Connection
from pais_lite.resp.errors import ServerError
from pais_lite.resp.url import Address
from pais_lite.resp.values import Reply

__all__ = ["find_nodes", "moved_address"]


def moved_address(refusal: ServerError, asked: Address) -> Address | None:
    """Read `MOVED slot host:port`; no host means the one that was asked."""
    host, _, port = refusal.message.split(" ")[-1].rpartition(":")
    if not port.isdigit() or len(port) > 5:
        return None
    return Address(host or asked.host, int(port))


async def find_nodes(connection: Connection, asked: Address) -> list[Address]:
    """Ask a node of a cluster for all of them, replicas included: one may be the primary by the time it is needed.

    Returns none where the server does not say, such as to a user who may not ask; MOVED leads on all the same.
    """
    [reply] = await connection.request(encode_command(["CLUSTER", "SLOTS"]), 1)
    return list(dict.fromkeys(_nodes(reply, asked)))


def _nodes(reply: Reply, asked: Address) -> Iterator[Address]:
    """Read ranges of slots: the first and the last one, and then the nodes that have them, each a list."""
    for slots in reply if isinstance(reply, list) else ():
        for node in slots[2:] if isinstance(slots, list) else ():
            match node:
                case [bytes() | None as host, int() as port, *_] if 0 < port < 65536:
                    # "?" is a node whose name the others do not know.
                    if host != b"?":
                        name = host.decode("utf-8", "surrogateescape") if host else asked.host
                        yield Address(name, port)
                case _:
                    pass
