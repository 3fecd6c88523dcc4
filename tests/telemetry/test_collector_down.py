"""A collector that is away, or that never answers, costs no request anything, and no stop more than its grace."""

import json
import socket
from collections.abc import Iterator
from time import monotonic

import httpx2
import pytest

from tests.support.asgi import chat
from tests.support.endpoint import Endpoint
from tests.telemetry.conftest import Start

GRACE = 3.0
# For an interpreter to end, on a machine that is busy.
EXIT = 8.0


@pytest.fixture(params=["refuses", "never answers"])
def dead_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port where nobody listens, or one where somebody does and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if request.param == "never answers":
            listener.listen(64)
        yield listener.getsockname()[1]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_requests_are_answered_and_the_stop_is_in_time(
    dead_port: int, protocol: str, model: Endpoint, start: Start
) -> None:
    with start(
        "lonely",
        model.url,
        OTEL_ENABLED="true",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{dead_port}",
        SHUTDOWN_GRACE_SECONDS=str(GRACE),
    ) as server:
        with httpx2.Client(base_url=server.url, timeout=10) as client:
            for _ in range(20):
                answer = client.post("/v1/chat/completions", json=chat())
                assert answer.json()["choices"][0]["message"]["content"] == "one two three four"
        began = monotonic()
        assert server.stop() == 0
        assert monotonic() - began < GRACE + EXIT


def test_more_spans_than_can_wait_are_dropped_and_nobody_waits(
    dead_port: int, model: Endpoint, start: Start
) -> None:
    with start(
        "lonely",
        model.url,
        OTEL_ENABLED="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{dead_port}",
        OTEL_BSP_MAX_QUEUE_SIZE="8",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8",
        SHUTDOWN_GRACE_SECONDS="0",
        LOG_FORMAT="json",
    ) as server:
        with httpx2.Client(base_url=server.url, timeout=10) as client:
            for _ in range(30):
                assert client.post("/v1/chat/completions", json=chat()).status_code == 200
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]
    assert sum(line["logger"] == "pais_lite.access" for line in lines) == 30
    # The operator is told, not flooded.
    assert 1 <= sum(line["logger"].startswith("opentelemetry") for line in lines) < 30
