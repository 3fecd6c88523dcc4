"""Whoever asks `/ready` hears that the server leaves before it does, so that no balancer sends requests to a closed port."""

import signal
from pathlib import Path
from time import monotonic

import anyio
import pytest

from tests.support.asgi import chat
from tests.support.clients import http_client
from tests.support.processes import pais_run
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

MOCK = {"DEBUG_MOCK_RESPONSES": '["hello"]'}


async def test_probed_server_without_runs_stays_until_it_has_said_that_it_leaves(folder: Path) -> None:
    with pais_run(env=MOCK, cwd=folder) as process:
        async with http_client(process.url) as client:
            assert (await client.get("/ready")).status_code == 200
            process.popen.send_signal(signal.SIGTERM)
            with anyio.fail_after(20):
                while (await client.post("/v1/chat/completions", json=chat())).status_code == 200:
                    pass
            # Nothing is under way any more, and still it answers.
            for _ in range(3):
                refused = await client.post("/v1/chat/completions", json=chat())
                assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
            told = await client.get("/ready")
            assert (told.status_code, told.json()["checks"]["server"]) == (503, "draining")
        assert process.popen.wait(8) == 0


async def test_server_that_nobody_probes_leaves_at_once(folder: Path) -> None:
    with pais_run(env=MOCK, cwd=folder) as process:
        async with http_client(process.url) as client:
            assert (await client.get("/health")).status_code == 200
        began = monotonic()
        assert process.stop() == 0
        assert monotonic() - began < 5


async def test_operator_in_a_hurry_does_not_wait_for_probes(folder: Path) -> None:
    with pais_run(env=MOCK, cwd=folder) as process:
        async with http_client(process.url) as client:
            assert (await client.get("/ready")).status_code == 200
        process.popen.send_signal(signal.SIGINT)
        await until(lambda: "shutting down" in process.output())
        began = monotonic()
        assert process.stop(signal.SIGINT) == 0
        assert monotonic() - began < 5
