"""Which of several servers is the primary right now: ask the sentinels, believe the server.

The rules: https://redis.io/docs/latest/develop/reference/sentinel-clients/. Sentinels are asked in the order of the
URL, and the first that knows the service is believed; the server it names must say of itself that it is a primary,
since a sentinel may not have heard of a failover yet.
"""

import ssl

from pais_lite.resp.commands import encode_command
from pais_lite.resp.connection import Connection
from pais_lite.resp.errors import ConnectionFailed, RespError, ServerError
from pais_lite.resp.handshake import greet
from pais_lite.resp.transport import open_transport
from pais_lite.resp.url import Address, RedisUrl

__all__ = ["find_primary", "verify_primary"]


async def find_primary(url: RedisUrl, tls: ssl.SSLContext | None) -> Address:
    """Ask one sentinel after the other where the primary of `url.service` is; raises `ConnectionFailed`."""
    failure: RespError | None = None
    for sentinel in url.addresses:
        try:
            maybe_address = await _ask(sentinel, url, tls)
        except RespError as exc:
            failure = exc
        else:
            if maybe_address is not None:
                return maybe_address
    if failure is None:
        raise ConnectionFailed("no sentinel knows the service")
    raise ConnectionFailed("no sentinel could say where the primary is") from failure


async def verify_primary(connection: Connection, address: Address) -> None:
    """Have the server say that it is the primary; raises `ConnectionFailed` if it is not."""
    [reply] = await connection.request(encode_command(["ROLE"]), 1)
    if isinstance(reply, ServerError):
        raise reply
    if not isinstance(reply, list) or reply[:1] != [b"master"]:
        raise ConnectionFailed(
            "the server that the sentinels name is not a primary (any more)", address=str(address)
        )


async def _ask(sentinel: Address, url: RedisUrl, tls: ssl.SSLContext | None) -> Address | None:
    connection = Connection(await open_transport(sentinel, tls, url.connect_timeout), url.connect_timeout)
    try:
        await greet(connection, username=url.sentinel_username, password=url.sentinel_password)
        question = encode_command(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", url.service or ""])
        [reply] = await connection.request(question, 1)
    finally:
        connection.close()
    if isinstance(reply, ServerError):
        raise reply
    match reply:
        case None:
            return None
        case [bytes() as host, bytes() as port] if port.isdigit() and len(port) <= 5:
            return Address(host.decode("utf-8", "surrogateescape"), int(port))
        case _:
            raise ConnectionFailed("a sentinel named a primary without an address", address=str(sentinel))
