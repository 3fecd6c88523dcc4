"""The connections of `pais run`: none of them outlives its client."""

import json
from pathlib import Path

import httpx2
import pytest

from tests.support.asgi import chat
from tests.support.processes import Process, pais_run
from tests.support.sockets import connected, request_bytes, until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
MANY = 30


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
