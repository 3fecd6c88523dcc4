"""Opens connections to whichever server is the right one now.

That is the one that a MOVED named, until it fails; the primary that the sentinels know; or the first that can be had of the
URL's servers and, in a cluster, of the nodes that these name.
"""

from time import monotonic

from pais_lite.resp.cluster import find_nodes
from pais_lite.resp.connection import Connection
from pais_lite.resp.errors import ConnectionFailed, OutcomeUnknown, RespError
from pais_lite.resp.handshake import greet
from pais_lite.resp.protocol import Limits
from pais_lite.resp.sentinel import find_primary, verify_primary
from pais_lite.resp.transport import make_tls_context, open_transport
from pais_lite.resp.url import Address, RedisUrl

__all__ = ["Dialer"]


class Dialer:
    """What is known of where the server is. Raises `InvalidUrl` for certificates that cannot be read."""

    def __init__(
        self, url: RedisUrl, limits: Limits | None = None, *, homes: list[Address] | None = None
    ) -> None:
        self._url = url
        self._tls = make_tls_context(url.tls) if url.tls is not None else None
        self._limits = limits
        # The node that a MOVED named, until it fails.
        self._moved_to: Address | None = None
        # Servers to begin with; what failed last comes last. All who look for the same server share one list.
        self._homes = list(url.addresses) if homes is None else homes

    def another(self, url: RedisUrl) -> "Dialer":
        """Return one for the same server that knows what this one has learned, and will learn."""
        return Dialer(url, self._limits, homes=self._homes)

    async def dial(self) -> tuple[Connection, Address]:
        """Return a connection that has been greeted, and whose it is; raises `RespError`."""
        if (address := self._moved_to) is not None:
            try:
                return await self._open(address), address
            except RespError:
                # It has moved on, or died: the others know better then.
                self._moved_to = None
                raise
        if self._url.service is not None:
            address = await find_primary(self._url, self._tls)
            return await self._open(address, verify=True), address
        deadline = monotonic() + self._url.connect_timeout
        homes = self._homes[:]
        while True:
            address = homes.pop(0)
            try:
                return await self._open(address), address
            except ConnectionFailed:
                self._doubt(address)
                # One that does not even refuse has used up the time of all.
                if not homes or monotonic() >= deadline:
                    raise

    def turn_to(self, address: Address) -> None:
        """Dial this server from now on."""
        self._moved_to = address

    def turn_from(self, address: Address) -> None:
        """Look for another server than this, where there may be one."""
        self._moved_to = None
        self._doubt(address)

    async def _open(self, address: Address, *, verify: bool = False) -> Connection:
        """Connect to a server, and ask it for the others if it is one of a cluster; `verify` that it is a primary."""
        url = self._url
        transport = await open_transport(address, self._tls, url.connect_timeout)
        connection = Connection(transport, url.connect_timeout, self._limits)
        try:
            mode = await greet(
                connection,
                username=url.username,
                password=url.password,
                client_name=url.client_name,
                database=url.database,
            )
            if verify:
                await verify_primary(connection, address)
            if mode == "cluster":
                self._learn(await find_nodes(connection, address))
        except OutcomeUnknown as exc:
            connection.close()
            raise ConnectionFailed(
                "the connection to the Redis server was lost", address=str(address)
            ) from exc
        except BaseException:
            connection.close()
            raise
        connection.timeout = url.command_timeout
        return connection

    def _learn(self, nodes: list[Address]) -> None:
        """Take note of the nodes of a cluster, and forget those that have left it."""
        if nodes:
            known = [home for home in self._homes if home in nodes or home in self._url.addresses]
            self._homes[:] = dict.fromkeys((*known, *nodes))

    def _doubt(self, address: Address) -> None:
        """Begin with the others next time."""
        if address in self._homes:
            self._homes.remove(address)
            self._homes.append(address)
