"""The client against real servers: what is sent again, what is not, and where to."""

import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSListener

from pais_lite.resp import (
    AuthenticationFailed,
    Client,
    ClientClosed,
    CommandTimedOut,
    ConnectionFailed,
    InvalidUrl,
    OutcomeUnknown,
    ServerError,
    TransactionAborted,
)
from tests.support.ports import free_port
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def _bounded() -> AsyncIterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 30


async def test_commands_of_every_kind(server: ValkeyServer) -> None:
    async with Client(server.url) as client:
        with anyio.fail_after(10):
            await client.ping()
            assert await client.execute("SET", "k", b"\x00\r\n\xff") == "OK"
            assert await client.execute("GET", "k") == b"\x00\r\n\xff"
            assert await client.execute("HSET", "h", "a", 1, "b", 0.5) == 2
            assert await client.execute("HGETALL", "h") == {b"a": b"1", b"b": b"0.5"}
            assert await client.execute("INCRBYFLOAT", "f", 1.25) == b"1.25"
            assert await client.pipeline([("GET", "missing"), ("INCR", "n"), ("INCR", "n")]) == [None, 1, 2]
            assert await client.pipeline([]) == []
            assert await client.transaction([]) == []
            assert await client.transaction([("RPUSH", "l", "x" * 70_000), ("LLEN", "l")]) == [1, 1]
            assert await client.execute("LRANGE", "l", 0, -1) == [b"x" * 70_000]


async def test_error_replies(server: ValkeyServer) -> None:
    async with Client(server.url) as client:
        with anyio.fail_after(10):
            await client.execute("SET", "k", "v")
            with pytest.raises(ServerError) as caught:
                await client.execute("LPUSH", "k", 1)
            assert caught.value.word == "WRONGTYPE"
            with pytest.raises(ServerError) as caught:
                await client.pipeline([("INCR", "n"), ("LPUSH", "k", 1), ("INCR", "n")])
            assert caught.value.word == "WRONGTYPE"
            assert caught.value.replies == [1, caught.value, 2]
            [one, error] = await client.pipeline([("INCR", "n"), ("LPUSH", "k", 1)], raise_errors=False)
            assert (one, type(error)) == (3, ServerError)
            with pytest.raises(ServerError) as caught:
                await client.transaction([("INCR", "n"), ("LPUSH", "k", 1)])
            assert caught.value.replies == [4, caught.value]
            with pytest.raises(TransactionAborted, match="unknown command") as aborted:
                await client.transaction([("INCR", "n"), ("NOSUCH",)])
            assert aborted.value.replies is not None
            assert aborted.value.replies[0] == "QUEUED"
            assert await client.execute("GET", "n") == b"4"


async def test_many_tasks_share_one_connection_and_get_their_own(server: ValkeyServer) -> None:
    async with Client(server.url) as client:

        async def work(number: int) -> None:
            for turn in range(20):
                key = f"k{number}"
                assert await client.execute("SET", key, turn) == "OK"
                assert await client.execute("GET", key) == b"%d" % turn
                assert await client.transaction([("INCR", key), ("GET", key)]) == [
                    turn + 1,
                    b"%d" % (turn + 1),
                ]

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for number in range(64):
                    group.start_soon(work, number)
            clients: bytes = await client.execute("CLIENT", "LIST")
        # Ours, and perhaps the connections of other tests that the server has not closed yet.
        assert clients.count(b"cmd=client|list") == 1
        assert clients.count(b"cmd=exec") == 0


async def test_a_second_connection_opens_under_load_only(server: ValkeyServer) -> None:
    async with Client(f"{server.url}?client_name=loaded", connections=2) as client:
        with anyio.fail_after(20):
            await client.ping()
            # No reply comes before all have asked, however the tasks take their turns.
            server.ask("CLIENT", "PAUSE", "500", "ALL")
            async with anyio.create_task_group() as group:
                for _ in range(600):
                    group.start_soon(client.execute, "INCR", "n")
            assert await client.execute("GET", "n") == b"600"
            clients: bytes = await client.execute("CLIENT", "LIST")
        assert clients.count(b"name=loaded") == 2


async def test_cancelled_at_every_await_against_a_server(server: ValkeyServer) -> None:
    async with Client(server.url) as client:
        with anyio.fail_after(20):
            for turns in range(12):
                async with anyio.create_task_group() as group:
                    victim = anyio.CancelScope()

                    async def doomed(scope: anyio.CancelScope = victim) -> None:
                        with scope:
                            await client.execute("ECHO", "victim")

                    group.start_soon(doomed)
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    victim.cancel()
                    assert await client.execute("ECHO", f"{turns}") == b"%d" % turns


async def test_users_passwords_name_and_database(server: ValkeyServer) -> None:
    server.ask("ACL", "SETUSER", "alice", "on", ">p%40ss", "~app:*", "+@all")
    async with Client(f"redis://alice:p%2540ss@127.0.0.1:{server.port}/3?client_name=pais") as client:
        with anyio.fail_after(10):
            await client.execute("SET", "app:k", 1)
            assert await client.execute("CLIENT", "GETNAME") == b"pais"
            assert await client.execute("ACL", "WHOAMI") == b"alice"
            with pytest.raises(ServerError) as caught:
                await client.execute("GET", "other")
            assert caught.value.word == "NOPERM"
    assert b"keys=1" in server.ask("INFO", "keyspace").partition(b"db3:")[2]
    for userinfo in ("alice:wrong", "bob:wrong"):
        async with Client(f"redis://{userinfo}@127.0.0.1:{server.port}") as client:
            with anyio.fail_after(10), pytest.raises(AuthenticationFailed) as refused:
                await client.ping()
            assert "wrong" not in str(refused.value)
    async with Client(f"{server.url}/99") as client:
        with anyio.fail_after(10), pytest.raises(ServerError, match="DB index"):
            await client.ping()


async def test_unix_socket(server: ValkeyServer) -> None:
    async with Client(f"unix://{server.directory}/redis.sock?db=3") as client:
        with anyio.fail_after(10):
            await client.execute("SET", "k", 1)
            assert b"db=3" in await client.execute("CLIENT", "INFO")


async def test_nothing_listens() -> None:
    for url in (
        f"redis://127.0.0.1:{free_port()}",
        "unix:///nowhere/redis.sock",
        "redis://no.such.host.invalid",
    ):
        async with Client(url, attempts=2) as client:
            with anyio.fail_after(20), pytest.raises(ConnectionFailed) as caught:
                await client.ping()
            assert "127.0.0.1" not in str(caught.value)
            assert caught.value.address is not None


async def test_a_host_that_does_not_answer() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}?connect_timeout=0.05"
        async with Client(url, attempts=2) as client:
            with anyio.fail_after(10), pytest.raises(ConnectionFailed):
                await client.ping()


async def test_closed_is_closed(server: ValkeyServer) -> None:
    client = Client(server.url)
    await client.ping()
    await client.aclose()
    await client.aclose()
    with pytest.raises(ClientClosed):
        await client.ping()


async def test_kill_and_restart_without_our_restart(own_server: ValkeyServer) -> None:
    async with Client(own_server.url) as client:
        with anyio.fail_after(20):
            await client.execute("SET", "k", 1)
            own_server.kill()
            with pytest.raises((ConnectionFailed, OutcomeUnknown)):
                await client.execute("INCR", "k")
            with pytest.raises(ConnectionFailed):
                await client.execute("INCR", "k")
            own_server.start()
            assert await client.execute("INCR", "k") == 2


async def test_a_killed_server_leaves_outcomes_unknown_and_none_doubled(own_server: ValkeyServer) -> None:
    acknowledged = unknown = 0
    enough = anyio.Event()
    async with Client(own_server.url) as client:

        async def work() -> None:
            nonlocal acknowledged, unknown
            for _ in range(60):
                try:
                    await client.execute("INCR", "n")
                except OutcomeUnknown:
                    unknown += 1
                except ConnectionFailed:
                    await anyio.sleep(0.02)
                else:
                    acknowledged += 1
                    if acknowledged == 100:
                        enough.set()

        with anyio.fail_after(25):
            async with anyio.create_task_group() as group:
                for _ in range(8):
                    group.start_soon(work)
                await enough.wait()
                own_server.kill()
                await anyio.to_thread.run_sync(own_server.start)
            count = int(await client.execute("GET", "n"))
    assert acknowledged <= count <= acknowledged + unknown


async def test_what_may_run_twice_is_sent_again(own_server: ValkeyServer) -> None:
    async with Client(own_server.url, attempts=20) as client:
        with anyio.fail_after(20):
            await client.execute("SET", "k", 1)
            own_server.pause()
            async with anyio.create_task_group() as group:

                async def read() -> None:
                    assert await client.execute("GET", "k", idempotent=True) == b"1"

                async def write() -> None:
                    with pytest.raises(OutcomeUnknown):
                        await client.execute("INCR", "k")

                group.start_soon(read)
                group.start_soon(write)
                await anyio.wait_all_tasks_blocked()
                own_server.kill()
                await anyio.to_thread.run_sync(own_server.start)


async def test_a_stopped_server_times_out_and_comes_back(own_server: ValkeyServer) -> None:
    async with Client(f"{own_server.url}?command_timeout=0.2&connect_timeout=0.2", attempts=2) as client:
        with anyio.fail_after(20):
            await client.ping()
            own_server.pause()
            with pytest.raises(CommandTimedOut):
                await client.execute("GET", "k", idempotent=True)
            with pytest.raises(ConnectionFailed):
                await client.execute("GET", "k")
            own_server.resume()
            await client.ping()


async def test_an_idle_connection_that_was_cut_is_replaced_unseen(server: ValkeyServer) -> None:
    async with Client(f"{server.url}?client_name=idle", health_check_seconds=0.1) as client:
        with anyio.fail_after(10):
            await client.ping()
            server.ask("CLIENT", "KILL", "TYPE", "normal")
            await anyio.sleep(0.06)
            assert await client.execute("INCR", "n") == 1
            before = int(
                server.ask("INFO", "commandstats").partition(b"cmdstat_ping:calls=")[2].partition(b",")[0]
            )
            await anyio.sleep(0.11)
            assert await client.execute("INCR", "n") == 2
            after = int(
                server.ask("INFO", "commandstats").partition(b"cmdstat_ping:calls=")[2].partition(b",")[0]
            )
    assert after == before + 1


async def test_read_only_servers_are_left_and_asked_again(own_server: ValkeyServer) -> None:
    async with Client(own_server.url, attempts=8) as client:
        with anyio.fail_after(10):
            await client.ping()
            own_server.ask("REPLICAOF", "127.0.0.1", str(free_port()))
            async with anyio.create_task_group() as group:

                async def promote() -> None:
                    await anyio.sleep(0.1)
                    own_server.ask("REPLICAOF", "NO", "ONE")

                group.start_soon(promote)
                assert await client.transaction([("INCR", "n"), ("INCR", "n")]) == [1, 2]
            own_server.ask("REPLICAOF", "127.0.0.1", str(free_port()))
            async with Client(own_server.url, attempts=1) as impatient:
                with pytest.raises(ServerError) as caught:
                    await impatient.execute("INCR", "n")
                assert caught.value.word == "READONLY"


# ----------------------------------------------------------------------------------------------------- TLS


@asynccontextmanager
async def tls_proxy(server: ValkeyServer, authority: trustme.CA, *, ask_client: bool) -> AsyncIterator[int]:
    """Put TLS in front of a server that was built without."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    if ask_client:
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)

    async def pump(source: ByteStream, target: ByteStream, scope: anyio.CancelScope) -> None:
        try:
            while True:
                await target.send(await source.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            scope.cancel()

    async def serve(stream: ByteStream) -> None:
        inner = await anyio.connect_tcp("127.0.0.1", server.port)
        async with stream, inner, anyio.create_task_group() as group:
            group.start_soon(pump, stream, inner, group.cancel_scope)
            group.start_soon(pump, inner, stream, group.cancel_scope)

    class Listener(TLSListener):
        @staticmethod
        async def handle_handshake_error(exc: BaseException, stream: object) -> None:
            assert isinstance(stream, ByteStream)
            await anyio.aclose_forcefully(stream)
            if not isinstance(exc, Exception):
                raise exc

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as plain:
        port: int = plain.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as group:
            group.start_soon(Listener(plain, context, standard_compatible=False).serve, serve)
            yield port
            group.cancel_scope.cancel()


def certificates(directory: Path, authority: trustme.CA) -> dict[str, str]:
    mine = authority.issue_cert("client@example.org")
    names = {name: str(directory / f"{name}.pem") for name in ("ca", "cert", "key", "empty")}
    authority.cert_pem.write_to_path(names["ca"])
    mine.cert_chain_pems[0].write_to_path(names["cert"])
    mine.private_key_pem.write_to_path(names["key"])
    Path(names["empty"]).write_text("")
    return names


async def test_tls_with_verification_and_client_certificate(server: ValkeyServer, tmp_dir: Path) -> None:
    authority = trustme.CA()
    files = certificates(tmp_dir, authority)
    with anyio.fail_after(25):
        async with tls_proxy(server, authority, ask_client=True) as port:
            mine = f"ssl_certfile={files['cert']}&ssl_keyfile={files['key']}"
            async with Client(f"rediss://localhost:{port}?ssl_ca_certs={files['ca']}&{mine}") as client:
                value = os.urandom(3_000_000)
                await client.execute("SET", "k", value)
                assert await client.execute("GET", "k") == value
                async with anyio.create_task_group() as group:
                    for number in range(20):
                        group.start_soon(client.execute, "INCRBY", "n", number)
                assert await client.execute("GET", "n") == b"190"
            async with Client(f"rediss://localhost:{port}?ssl_ca_certs={files['ca']}", attempts=1) as client:
                with pytest.raises(ConnectionFailed):
                    await client.ping()
        async with tls_proxy(server, authority, ask_client=False) as port:
            for query, works in [
                ("", False),
                ("ssl_cert_reqs=none", True),
                (f"ssl_ca_certs={files['ca']}", True),
            ]:
                async with Client(f"rediss://localhost:{port}?{query}".rstrip("?"), attempts=1) as client:
                    if works:
                        await client.ping()
                    else:
                        with pytest.raises(ConnectionFailed, match="not trusted"):
                            await client.ping()
            for query, works in [("", False), ("&ssl_check_hostname=false", True)]:
                url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={files['ca']}{query}"
                async with Client(url, attempts=1) as client:
                    if works:
                        await client.ping()
                    else:
                        with pytest.raises(ConnectionFailed, match="not trusted"):
                            await client.ping()
        for option in ("ssl_ca_certs", "ssl_certfile"):
            for name in ("/nowhere.pem", files["empty"]):
                with pytest.raises(InvalidUrl, match=option):
                    Client(f"rediss://localhost?{option}={name}")


async def test_tls_to_a_server_without(server: ValkeyServer) -> None:
    async with Client(
        f"rediss://127.0.0.1:{server.port}?ssl_cert_reqs=none&connect_timeout=1", attempts=1
    ) as client:
        with anyio.fail_after(10), pytest.raises(ConnectionFailed):
            await client.ping()
