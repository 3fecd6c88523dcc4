"""The client: a few shared connections to whichever server is the right one now.

What is repeated and what is not: a command that surely did not run is sent again, up to `attempts` times with growing,
jittered pauses. That is one whose connection failed before it left, and one that the server refused because it is
loading, read-only, a replica without a primary or not the owner of the key. One that left and got no answer is sent
again only when the caller said that it may run twice; else the caller gets `OutcomeUnknown`.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Self

import anyio

from pais_lite.resp.cluster import moved_address
from pais_lite.resp.commands import Argument, Command, encode_command, encode_pipeline
from pais_lite.resp.connection import Connection
from pais_lite.resp.dialer import Dialer
from pais_lite.resp.errors import (
    ClientClosed,
    CommandTimedOut,
    ConnectionFailed,
    OutcomeUnknown,
    RespError,
    ServerError,
    TransactionAborted,
)
from pais_lite.resp.protocol import Limits
from pais_lite.resp.url import Address, RedisUrl, parse_url
from pais_lite.resp.values import Reply

__all__ = ["Client"]

# So many callers share one connection before the next is opened: beyond, a turn of the loop gains little by more company.
_COMPANY = 256
# A connection that has just answered is not asked whether it is still there.
_FRESH_SECONDS = 0.05
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0
# Refusals that another server may not have: this one was the primary once, or has lost sight of the others.
_WRONG_SERVER = frozenset({"CLUSTERDOWN", "MASTERDOWN", "READONLY"})
_MULTI = encode_command(["MULTI"])
_EXEC = encode_command(["EXEC"])


class Client:
    """Runs commands for any number of tasks of one event loop.

    Nothing is opened before the first command, and nothing runs between commands; `aclose` may be left out only at the
    cost of a `ResourceWarning`. `connections` is the most that will be open at once; a second one is opened only under
    load. A connection that was idle for `health_check_seconds` is asked with PING before it gets a command. A `dialer`
    takes the place of one of its own, which has `limits`. Raises `InvalidUrl`.
    """

    def __init__(
        self,
        url: str | RedisUrl,
        *,
        connections: int = 2,
        attempts: int = 4,
        health_check_seconds: float = 30.0,
        limits: Limits | None = None,
        dialer: Dialer | None = None,
    ) -> None:
        self._url = parse_url(url) if isinstance(url, str) else url
        self._dialer = dialer or Dialer(self._url, limits)
        self._most_connections = connections
        self._attempts = attempts
        self._health_check_seconds = health_check_seconds
        self._connections: list[tuple[Connection, Address]] = []
        # Connections that only owe replies.
        self._retired: list[Connection] = []
        self._connecting = anyio.Lock()
        self._failed_dials = 0
        self._last_failure: RespError | None = None
        self._closed = False
        self._random = random.SystemRandom()

    def another(self, *, connections: int = 2, command_timeout: float | None = None) -> "Client":
        """Return another client of the same server, which whoever asked for it closes.

        It knows the nodes of a cluster that this one has found, and the other way around.
        """
        url = self._url if command_timeout is None else replace(self._url, command_timeout=command_timeout)
        return Client(
            url,
            connections=connections,
            attempts=self._attempts,
            health_check_seconds=self._health_check_seconds,
            dialer=self._dialer.another(url),
        )

    def __repr__(self) -> str:
        return f"Client({self._url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def execute(self, *command: Argument, idempotent: bool = False) -> Reply:
        """Run one command and return its reply.

        `idempotent` promises that running it twice does no harm. Raises `ServerError` for an error reply, and what
        `pipeline` raises.
        """
        [reply] = await self._perform(encode_command(command), 1, idempotent)
        if isinstance(reply, ServerError):
            raise reply
        return reply

    async def ping(self) -> None:
        """Have the server answer; raises as `execute`."""
        await self.execute("PING", idempotent=True)

    async def pipeline(
        self, commands: Sequence[Command], *, idempotent: bool = False, raise_errors: bool = True
    ) -> list[Reply]:
        """Run several commands in one round trip and return their replies; other callers' may run in between.

        An error reply does not keep later commands from running. The first is raised once all have been read, with all
        replies in its `replies`; without `raise_errors` errors are returned in their places.

        Raises `ConnectionFailed` when nothing ran, `OutcomeUnknown` or `CommandTimedOut` when something may have,
        `ProtocolError` and `ClientClosed`.
        """
        if not commands:
            return []
        replies = await self._perform(encode_pipeline(commands), len(commands), idempotent)
        return _raise_first(replies) if raise_errors else replies

    async def transaction(
        self, commands: Sequence[Command], *, idempotent: bool = False, raise_errors: bool = True
    ) -> list[Reply]:
        """Run several commands in one round trip as MULTI ... EXEC, with nobody's in between; return their replies.

        Raises `TransactionAborted` when the server refused a command while queueing, so that none ran. A command that
        fails in EXEC does not undo the others; its error is raised or returned as `pipeline` does. Raises as that.
        """
        if not commands:
            return []
        data = b"".join((_MULTI, encode_pipeline(commands), _EXEC))
        answers = await self._perform(data, len(commands) + 2, idempotent, transaction=True)
        if isinstance(answers[0], ServerError):
            # Without MULTI the commands ran, or failed, each for itself.
            answers[0].replies = answers[1:-1]
            raise answers[0]
        replies: Reply = answers[-1]
        if isinstance(replies, ServerError):
            queueing = answers[1:-1]
            reasons = [answer.message for answer in queueing if isinstance(answer, ServerError)]
            aborted = TransactionAborted("; ".join([replies.message, *reasons]))
            aborted.replies = queueing
            raise aborted
        return _raise_first(replies) if raise_errors else list(replies)

    async def aclose(self) -> None:
        """Close every connection; commands under way raise `ClientClosed`, as do later ones."""
        self._closed = True
        for connection, _ in self._connections:
            connection.close()
        for connection in self._retired:
            connection.close()
        self._connections.clear()
        self._retired.clear()

    async def _perform(
        self, data: bytes, count: int, idempotent: bool, *, transaction: bool = False
    ) -> list[Reply]:
        """Send, and send again what may be sent again."""
        attempt = 1
        while True:
            try:
                # The way that nearly every command takes waits for nothing but the reply.
                connection = self._pick()
                if connection is None or self._is_due(connection):
                    connection = await self._connect()
                replies = await connection.request(data, count)
            except ConnectionFailed:
                if attempt >= self._attempts:
                    raise
            except CommandTimedOut:
                raise
            except OutcomeUnknown:
                if not idempotent or attempt >= self._attempts:
                    raise
            else:
                refusal = _refusal(replies, transaction)
                if refusal is None or attempt >= self._attempts:
                    return replies
                if self._follow(refusal, connection):
                    attempt += 1
                    continue
            await self._pause(attempt)
            attempt += 1

    def _pick(self) -> Connection | None:
        """Choose the least busy connection, unless it is time for another one."""
        best: Connection | None = None
        for connection, _ in self._connections:
            if connection.failure is None and (best is None or connection.waiting < best.waiting):
                best = connection
        if best is None or best.waiting < _COMPANY or self._connecting.locked():
            return best
        return best if len(self._connections) >= self._most_connections else None

    def _is_due(self, connection: Connection) -> bool:
        """Tell whether to make sure that an idle connection is still there."""
        if connection.waiting:
            return False
        idle = monotonic() - connection.last_used
        return idle > _FRESH_SECONDS and (idle > self._health_check_seconds or not connection.looks_alive())

    async def _connect(self) -> Connection:
        """Return a connection that is known to work, opened by this task or by another meanwhile."""
        failed_dials = self._failed_dials
        async with self._connecting:
            if self._closed:
                raise ClientClosed("the Redis client is closed")
            if self._last_failure is not None and self._failed_dials != failed_dials:
                # Another task tried while this one stood in line; the line need not try one by one.
                raise ConnectionFailed(self._last_failure.message) from self._last_failure
            spare = await self._check_idle()
            if spare is not None and (
                spare.waiting < _COMPANY or len(self._connections) >= self._most_connections
            ):
                return spare
            try:
                connection = await self._dial()
            except RespError as exc:
                self._failed_dials += 1
                self._last_failure = exc
                if spare is not None and spare.failure is None:
                    return spare
                raise
            self._last_failure = None
            return connection

    async def _check_idle(self) -> Connection | None:
        """Drop connections that are dead, those included that only PING can tell; return one that is not."""
        for connection, _ in self._connections:
            if self._is_due(connection) and connection.failure is None:
                try:
                    await connection.request(encode_command(["PING"]), 1)
                except RespError:
                    # It is dead, which is what we wanted to know; the loop below drops it.
                    connection.close()
        self._connections = [entry for entry in self._connections if entry[0].failure is None]
        return min((entry[0] for entry in self._connections), key=lambda each: each.waiting, default=None)

    async def _dial(self) -> Connection:
        connection, address = await self._dialer.dial()
        if self._closed:
            connection.close()
            raise ClientClosed("the Redis client was closed")
        self._connections.append((connection, address))
        return connection

    def _follow(self, refusal: ServerError, connection: Connection) -> bool:
        """Turn to where the command will run; return whether it is worth trying at once."""
        asked = next((entry[1] for entry in self._connections if entry[0] is connection), None)
        if asked is None:
            # Somebody who was refused as well has turned already.
            return refusal.word == "MOVED"
        if refusal.word == "MOVED":
            address = moved_address(refusal, asked)
            if address is None:
                return False
            self._dialer.turn_to(address)
            for entry in self._connections[:]:
                if entry[1] != address:
                    self._drop(entry[0])
            return True
        if refusal.word in _WRONG_SERVER:
            # A sentinel, another node, or the name's new address leads to the one that will run it.
            self._dialer.turn_from(asked)
            self._drop(connection)
        return False

    def _drop(self, connection: Connection) -> None:
        """Give a connection nothing new; replies that are still to come arrive."""
        self._connections = [entry for entry in self._connections if entry[0] is not connection]
        connection.retire()
        self._retired = [each for each in (*self._retired, connection) if each.failure is None]

    async def _pause(self, attempt: int) -> None:
        """Wait twice as long as the last time, give or take: clients that failed together shall not return together."""
        longest = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
        await anyio.sleep(self._random.uniform(longest / 2, longest))


def _refusal(replies: list[Reply], transaction: bool) -> ServerError | None:
    """Return the error for which none of the commands ran and all may be sent again, if that is so."""
    last = replies[-1]
    if not isinstance(last, ServerError):
        return None
    if not transaction:
        # Where some commands of a pipeline ran, sending only the others again would change their order.
        refused = all(isinstance(reply, ServerError) and reply.is_refusal for reply in replies)
        return last if refused else None
    if replies[0] != "OK":
        return None
    if last.is_refusal:
        return last
    refusals = (reply for reply in replies if isinstance(reply, ServerError) and reply.is_refusal)
    return next(refusals, None) if last.word == "EXECABORT" else None


def _raise_first(replies: list[Reply]) -> list[Reply]:
    for reply in replies:
        if isinstance(reply, ServerError):
            reply.replies = replies
            raise reply
    return replies
