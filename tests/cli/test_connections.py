"""The connections of `pais run`: none of them outlives its client."""

import asyncio
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from anyio import fail_after
from hypercorn.config import Config

from pais_lite.cli.connections import Listening
from pais_lite.http.types import Receive, Scope, Send
from tests.support.asgi import chat
from tests.support.processes import Process, pais_run
from tests.support.sockets import connected, request_bytes, until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
MANY = 30

# Is answered in HTTP/2 with an error, which hypercorn waits to have sent before it begins to send.
NEVER_ANSWERED = (
    b"CONNECT /health HTTP/1.1\r\nhost: localhost\r\n"
    b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
)


def open_files(process: Process) -> int:
    return sum(1 for _ in Path(f"/proc/{process.popen.pid}/fd").iterdir())


async def test_closed_connections_are_let_go_of_at_once(folder: Path) -> None:
    rest = [{"tool_calls": [{"name": "rest", "arguments": {"seconds": 0.2}}]}, "rested"]
    with pais_run(env={"DEBUG_MOCK_RESPONSES": json.dumps(rest)}, cwd=folder) as process:
        health = request_bytes("GET", "/health")
        asked = request_bytes("POST", CHAT, json.dumps(chat()).encode())
        async with connected(process.url) as connection:
            await connection.send(asked)
            assert (await connection.answer()).status == 200
        await until(lambda: open_files(process) < MANY / 2)
        before = open_files(process)
        for _ in range(MANY):
            # Idle, as clients leave those that they keep for later.
            async with connected(process.url) as connection:
                await connection.send(health)
                assert (await connection.answer()).status == 200
                connection.writer.write_eof()
                assert await connection.reader.read() == b""
            # With a request that waits behind one that is being answered.
            async with connected(process.url) as connection:
                await connection.send(asked + health)
        await until(lambda: open_files(process) <= before)
        assert httpx2.get(f"{process.url}/health", trust_env=False).status_code == 200
        assert process.stop() == 0
        assert "Traceback" not in process.output()


async def test_a_crowd_that_leaves_at_once_is_let_go_of(folder: Path) -> None:
    with pais_run(env={"DEBUG_MOCK_RESPONSES": '["hello"]'}, cwd=folder) as process:
        before = open_files(process)
        port = urlsplit(process.url).port
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
        await until(lambda: open_files(process) >= before + 300)
        for _, writer in crowd:
            writer.transport.abort()
        await until(lambda: open_files(process) <= before + 1)
        assert httpx2.get(f"{process.url}/health", trust_env=False).status_code == 200
        assert process.stop() == 0
        assert "Traceback" not in process.output()


async def test_what_hypercorn_never_answers_ends_with_its_client(folder: Path) -> None:
    with pais_run(env={"DEBUG_MOCK_RESPONSES": '["hello"]'}, cwd=folder) as process:
        before = open_files(process)
        async with connected(process.url) as connection:
            await connection.send(NEVER_ANSWERED)
            connection.writer.write_eof()
            with fail_after(10):
                assert b"101" in await connection.reader.read()
        await until(lambda: open_files(process) <= before)
        assert process.stop() == 0


async def test_what_hypercorn_never_answers_is_not_kept_longer_than_what_is_idle() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("no request comes this far")

    config = Config()
    config.keep_alive_timeout = 0.2
    listener = socket.create_server(("127.0.0.1", 0))
    listening = await Listening(app, config, sweep_seconds=0.1).start(listener)
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(NEVER_ANSWERED)
        with fail_after(10):
            assert b"101" in await reader.read()
        writer.close()
    finally:
        await listening.close()
