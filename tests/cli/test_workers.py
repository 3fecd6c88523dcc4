"""Several processes on one socket, and one that starts again when its code changes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.support.asgi import chat
from tests.support.clients import http_client
from tests.support.processes import Process, is_alive, pais_run, running
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

SERVER = """
import os
from pydantic_ai import Agent

agent = Agent(name="worker", instructions="GENERATION 1")

@agent.tool_plain
def pid() -> int:
    return os.getpid()
"""
MOCK = {"DEBUG_MOCK_RESPONSES": '[{"tool_calls": [{"name": "pid", "arguments": {}}]}, "done"]'}
TIMEOUT = 60.0


def workers_of(process: Process) -> list[int]:
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.popen.pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in listed.stdout.split()]


async def answers(process: Process) -> bool:
    async with http_client(timeout=TIMEOUT) as client:
        try:
            answer = await client.post(f"{process.url}/v1/chat/completions", json=chat())
        except httpx2.TransportError:
            return False
    return answer.status_code == 200


@pytest.fixture
def worker_folder(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path


async def test_killed_worker_is_replaced_and_all_end_with_the_first(worker_folder: Path) -> None:
    with pais_run("--workers", "2", env={**MOCK, "MEMORY_TYPE": "null"}, cwd=worker_folder) as process:
        assert await answers(process)
        first, second = workers_of(process)
        os.kill(first, signal.SIGKILL)
        await until(lambda: not is_alive(first), timeout=TIMEOUT)
        await until(lambda: len(workers_of(process)) == 2, timeout=TIMEOUT)
        assert await answers(process)
        workers = workers_of(process)
        assert second in workers
        assert process.stop() == 0
        assert not any(is_alive(pid) for pid in workers)
        assert "Traceback" not in process.output()


async def test_signal_during_the_start_leaves_no_worker_behind(worker_folder: Path) -> None:
    for _ in range(3):
        with pais_run("--workers", "2", env={**MOCK, "MEMORY_TYPE": "null"}, cwd=worker_folder) as process:
            process.popen.send_signal(signal.SIGTERM)
            process.popen.send_signal(signal.SIGINT)
            process.popen.send_signal(signal.SIGTERM)
            assert process.popen.wait(30) == 0
            with pytest.raises(httpx2.TransportError):
                httpx2.get(f"{process.url}/health", trust_env=False, timeout=5)
            assert "Traceback" not in process.output()


async def test_agent_that_cannot_be_served_ends_the_supervisor_which_never_said_it_was_ready(
    worker_folder: Path,
) -> None:
    (worker_folder / "server.py").write_text("agent = None\n")
    with running(
        [sys.executable, "-m", "pais_lite", "run", "--host", "127.0.0.1", "--port", "0", "--workers", "2"],
        ready=r"(defines no pydantic_ai.Agent)",
        env=MOCK,
        cwd=worker_folder,
    ) as process:
        assert process.popen.wait(60) == 2
        assert "is ready" not in process.output()


async def test_changed_file_is_served_and_a_broken_one_waits_for_its_repair(worker_folder: Path) -> None:
    path = worker_folder / "server.py"

    async def name() -> str | None:
        async with http_client(timeout=2) as client:
            try:
                served: str = (await client.get(f"{process.url}/health")).json()["name"]
            except httpx2.TransportError:
                return None
            return served

    async def is_renamed() -> bool:
        return await name() == "renamed"

    async def is_repaired() -> bool:
        return await name() == "repaired"

    with pais_run("--reload", env=MOCK, cwd=worker_folder) as process:
        assert await answers(process)
        path.write_text(SERVER.replace('"worker"', '"renamed"'))
        await until(is_renamed, timeout=TIMEOUT)
        path.write_text("def\n")
        await until(lambda: "server.py:1" in process.output(), timeout=TIMEOUT)
        path.write_text(SERVER.replace('"worker"', '"repaired"'))
        await until(is_repaired, timeout=TIMEOUT)
        assert process.stop() == 0
