"""Callers who share a connection, against scripts that answer as they please."""

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup

from pais_lite.resp.commands import encode_command
from pais_lite.resp.connection import Connection
from pais_lite.resp.errors import (
    ClientClosed,
    CommandTimedOut,
    ConnectionFailed,
    OutcomeUnknown,
    ProtocolError,
)
from pais_lite.resp.handshake import greet
from pais_lite.resp.transport import SocketTransport

pytestmark = pytest.mark.anyio


class Script:
    """The server's end of a socket pair, played by the test."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        sock.setblocking(False)

    async def read(self) -> bytes:
        await anyio.wait_readable(self._socket)
        return self._socket.recv(1 << 20)

    async def expect(self, *commands: tuple[str | int, ...]) -> None:
        wanted = b"".join(encode_command(command) for command in commands)
        got = b""
        while len(got) < len(wanted):
            got += await self.read()
        assert got == wanted

    def say(self, data: bytes) -> None:
        assert self._socket.send(data) == len(data)

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
            self._socket.close()


@asynccontextmanager
async def scripted(timeout: float = 5) -> AsyncIterator[tuple[Connection, Script, TaskGroup]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection, script = Connection(SocketTransport(ours), timeout), Script(theirs)
    try:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                yield connection, script, group
    finally:
        connection.close()
        script.close()


GET = encode_command(["GET", "k"])


async def test_what_is_ready_in_one_turn_leaves_in_one_write() -> None:
    async with scripted() as (connection, script, group):
        answers: list[object] = []

        async def ask() -> None:
            answers.extend(await connection.request(GET, 1))

        group.start_soon(ask)
        assert await script.read() == GET
        for _ in range(5):
            group.start_soon(ask)
        assert await script.read() == GET * 5
        script.say(b":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n")
    assert sorted(map(repr, answers)) == ["1", "2", "3", "4", "5", "6"]


async def test_replies_cut_anywhere_reach_their_callers_in_order() -> None:
    async with scripted() as (connection, script, group):
        answers: dict[int, object] = {}

        async def ask(number: int) -> None:
            answers[number] = await connection.request(GET, number)

        for number in (1, 2, 3):
            group.start_soon(ask, number)
            await script.read()
        for byte in b"$1\r\na\r\n:21\r\n:22\r\n>1\r\n+noise\r\n*1\r\n:31\r\n_\r\n+x\r\n":
            script.say(bytes([byte]))
            await anyio.lowlevel.checkpoint()
    assert answers == {1: [b"a"], 2: [21, 22], 3: [[31], None, "x"]}


async def test_a_cancelled_reader_hands_the_reading_over() -> None:
    async with scripted() as (connection, script, group):
        answers: list[object] = []

        async def ask() -> None:
            answers.extend(await connection.request(GET, 1))

        scope = anyio.CancelScope()

        async def cancelled() -> None:
            with scope:
                await ask()

        group.start_soon(cancelled)
        await script.read()
        group.start_soon(ask)
        await script.read()
        scope.cancel()
        await anyio.lowlevel.checkpoint()
        script.say(b"+lost\r\n+mine\r\n")
    assert answers == ["mine"]


@pytest.mark.parametrize("company", [0, 2])
async def test_cancelled_at_every_await_in_turn(company: int) -> None:
    """However far a command got, the next one gets its own reply."""
    finished = False
    for turns in range(40):
        async with scripted() as (connection, script, group):

            async def serve(script: Script = script) -> None:
                """Answer every GET with the key it names, one byte of the answer at a time."""
                pending = b""
                while data := await script.read():
                    pending += data
                    while len(pending) >= len(encode_command(["GET", "k00"])):
                        command, pending = pending[:22], pending[22:]
                        for byte in b"+" + command[-5:-2] + b"\r\n":
                            script.say(bytes([byte]))
                            await anyio.lowlevel.checkpoint()

            async def ask(key: str, connection: Connection = connection) -> None:
                assert await connection.request(encode_command(["GET", key]), 1) == [key]

            server_scope = anyio.CancelScope()

            async def server(scope: anyio.CancelScope = server_scope) -> None:
                with scope:
                    await serve()

            group.start_soon(server)
            async with anyio.create_task_group() as inner:
                for number in range(company):
                    inner.start_soon(ask, f"b{number:02}")
                victim = anyio.CancelScope()
                through = False

                async def doomed(scope: anyio.CancelScope = victim) -> None:
                    nonlocal through
                    with scope:
                        await ask("vvv")
                        through = True

                inner.start_soon(doomed)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                victim.cancel()
                await ask("nxt")
                finished = through
            await ask("end")
            server_scope.cancel()
        if finished:
            break
    assert finished, "the loop must reach the turn in which the command has its reply"


async def test_a_command_cancelled_before_its_turn_never_leaves() -> None:
    async with scripted() as (connection, script, group):
        scope = anyio.CancelScope()

        async def first() -> None:
            assert await connection.request(GET, 1) == [1]

        async def doomed() -> None:
            with scope:
                await connection.request(encode_command(["DEL", "k"]), 1)

        group.start_soon(first)
        await script.expect(("GET", "k"))
        scope.cancel()
        await doomed()
        script.say(b":1\r\n")
        group.start_soon(first)
        await script.expect(("GET", "k"))
        script.say(b":1\r\n")


async def test_more_than_the_kernel_takes_is_sent_bit_by_bit_and_survives_cancellation() -> None:
    async with scripted() as (connection, script, group):
        large = encode_command(["SET", "k", b"x" * 3_000_000])
        scope = anyio.CancelScope()
        answers: list[object] = []

        async def doomed() -> None:
            with scope:
                await connection.request(large, 1)

        async def ask() -> None:
            answers.extend(await connection.request(GET, 1))

        group.start_soon(doomed)
        got = await script.read()
        group.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        while len(got) < len(large) + len(GET):
            got += await script.read()
        assert got == large + GET
        script.say(b"+OK\r\n:7\r\n")
    assert answers == [7]


async def test_a_late_reply_ends_the_connection_for_all_who_wait() -> None:
    async with scripted(timeout=0.05) as (connection, _, group):

        async def ask() -> None:
            with pytest.raises(OutcomeUnknown):
                await connection.request(GET, 1)

        group.start_soon(ask)
        group.start_soon(ask)
        with pytest.raises(CommandTimedOut):
            await connection.request(GET, 1)
        with pytest.raises(ConnectionFailed):
            await connection.request(GET, 1)
    assert connection.failure is not None


async def test_a_follower_cancelled_leaves_a_timeout_to_those_who_wait() -> None:
    async with scripted(timeout=1.0) as (connection, _, _):
        with anyio.move_on_after(0.5):
            await connection.request(GET, 1)
        # The oldest reply is overdue first, though nobody waits for it.
        started = anyio.current_time()
        with pytest.raises(OutcomeUnknown):
            await connection.request(GET, 1)
        assert anyio.current_time() - started < 0.95


# Longer than a timer takes that is due, and much shorter than the timeouts of these tests.
A_MOMENT = 0.05


async def test_callers_who_are_slow_to_read_are_not_the_servers_delay() -> None:
    async with scripted(timeout=0.8) as (connection, script, group):
        answers: list[object] = []

        async def ask() -> None:
            answers.extend(await connection.request(GET, 1))
            # What a caller makes of its reply keeps the loop busy; all of them together for longer than the timeout.
            time.sleep(0.4)  # noqa: ASYNC251

        for _ in range(3):
            group.start_soon(ask)
        await script.expect(*[("GET", "k")] * 3)
        for number in range(3):
            while len(answers) < number:
                await anyio.lowlevel.checkpoint()
            await anyio.sleep(A_MOMENT)
            script.say(b":%d\r\n" % number)
    assert answers == [0, 1, 2]


async def test_what_came_while_the_loop_was_busy_is_read_before_the_server_is_judged() -> None:
    async with scripted(timeout=0.5) as (connection, script, group):
        answers: list[object] = []

        async def ask() -> None:
            answers.extend(await connection.request(GET, 2))

        group.start_soon(ask)
        group.start_soon(ask)
        await script.expect(*[("GET", "k")] * 2)
        script.say(b":1\r\n")
        time.sleep(0.6)  # noqa: ASYNC251
        await anyio.sleep(A_MOMENT)
        script.say(b":2\r\n:3\r\n:4\r\n")
    assert answers == [1, 2, 3, 4]


async def test_a_command_that_waited_to_be_written_has_its_time_from_then() -> None:
    async with scripted(timeout=0.5) as (connection, script, group):

        async def ask() -> None:
            assert await connection.request(GET, 1) == [1]

        group.start_soon(ask)
        await script.expect(("GET", "k"))
        group.start_soon(ask)
        # It has queued by then, and lets others go before it.
        await anyio.lowlevel.checkpoint()
        time.sleep(0.6)  # noqa: ASYNC251
        script.say(b":1\r\n")
        await script.expect(("GET", "k"))
        await anyio.sleep(A_MOMENT)
        script.say(b":1\r\n")


async def test_a_server_that_takes_a_long_command_slowly_is_not_late() -> None:
    async with scripted(timeout=0.5) as (connection, script, group):
        large = encode_command(["SET", "k", b"x" * 3_000_000])

        async def ask() -> None:
            assert await connection.request(large, 1) == ["OK"]

        group.start_soon(ask)
        got = len(await script.read())
        for pause in (0.3, 0.3, 0.0):
            await anyio.sleep(pause)
            # A little each time, and the rest at last.
            wanted = min(len(large), got + 500_000) if pause else len(large)
            while got < wanted:
                got += len(await script.read())
        script.say(b"+OK\r\n")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$?\r\n", b":1\r\n:2\r\n"])
async def test_nonsense_ends_the_connection(answer: bytes) -> None:
    async with scripted() as (connection, script, group):

        async def play() -> None:
            await script.read()
            script.say(answer)

        group.start_soon(play)
        if answer == b":1\r\n:2\r\n":
            assert await connection.request(GET, 1) == [1]
        else:
            with pytest.raises(ProtocolError):
                await connection.request(GET, 1)
        assert isinstance(connection.failure, ProtocolError)


async def test_hang_up_leaves_the_outcome_unknown() -> None:
    async with scripted() as (connection, script, group):

        async def play() -> None:
            await script.read()
            script.close()

        group.start_soon(play)
        with pytest.raises(OutcomeUnknown):
            await connection.request(GET, 1)
        assert not connection.looks_alive()


async def test_hang_up_while_idle_is_seen_without_asking() -> None:
    async with scripted() as (connection, script, _):
        assert connection.looks_alive()
        script.close()
        assert not connection.looks_alive()


async def test_close_wakes_every_caller() -> None:
    async with scripted() as (connection, script, group):

        async def ask() -> None:
            with pytest.raises(ClientClosed):
                await connection.request(GET, 1)

        for _ in range(3):
            group.start_soon(ask)
        await script.expect(*[("GET", "k")] * 3)
        connection.close()


async def test_retired_connection_closes_after_its_last_reply() -> None:
    async with scripted() as (connection, script, group):

        async def play() -> None:
            await script.read()
            connection.retire()
            script.say(b":1\r\n")

        group.start_soon(play)
        assert await connection.request(GET, 1) == [1]
        assert isinstance(connection.failure, ClientClosed)


async def test_greeting_in_resp3_takes_one_round_trip() -> None:
    async with scripted() as (connection, script, group):
        group.start_soon(lambda: greet(connection, password="secret", client_name="me", database=3))
        await script.expect(("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me"), ("SELECT", 3))
        script.say(b"%1\r\n+proto\r\n:3\r\n+OK\r\n")


@pytest.mark.parametrize(
    "refusal", [b"-ERR unknown command 'HELLO'\r\n", b"-NOPROTO unsupported protocol version\r\n"]
)
async def test_greeting_a_server_that_only_speaks_resp2(refusal: bytes) -> None:
    async with scripted() as (connection, script, group):
        group.start_soon(lambda: greet(connection, username="u", password="p", client_name="me", database=3))
        await script.expect(("HELLO", 3, "AUTH", "u", "p", "SETNAME", "me"), ("SELECT", 3))
        script.say(refusal + b"-NOAUTH Authentication required.\r\n")
        await script.expect(("AUTH", "u", "p"), ("CLIENT", "SETNAME", "me"), ("SELECT", 3))
        script.say(b"+OK\r\n-ERR unknown command 'CLIENT'\r\n+OK\r\n")
        group.start_soon(lambda: greet(connection, password="p"))
        await script.expect(("HELLO", 3, "AUTH", "default", "p"))
        script.say(refusal)
        await script.expect(("AUTH", "p"))
        script.say(b"+OK\r\n")


async def test_greeting_cut_short_ran_nothing() -> None:
    async with scripted() as (connection, script, group):

        async def play() -> None:
            await script.read()
            script.close()

        group.start_soon(play)
        with pytest.raises(ConnectionFailed):
            await greet(connection)
