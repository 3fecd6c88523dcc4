"""`delegate.{name}`, and what it measures."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from pais_lite.errors import ModelUnavailable
from pais_lite.telemetry import ServedRequest, Telemetry, delegation_span, outgoing_headers

REQUEST = ServedRequest(
    method="POST",
    route="/v1/chat/completions",
    path="/v1/chat/completions",
    scheme="http",
    http_version="1.1",
    headers=(),
    server=None,
    agent="orchestrator",
    model="orchestrator",
    session_id="s",
    stream=True,
)


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def telemetry(spans: InMemorySpanExporter, reader: InMemoryMetricReader) -> Iterator[Telemetry]:
    traces = TracerProvider(shutdown_on_exit=False)
    measurements = MeterProvider([reader], shutdown_on_exit=False)
    traces.add_span_processor(SimpleSpanProcessor(spans))
    yield Telemetry(traces, measurements)
    traces.shutdown()
    measurements.shutdown()


def points(reader: InMemoryMetricReader) -> dict[str, tuple[str, Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return {metric.name: (metric.unit or "", metric.data.data_points[0]) for metric in metrics}


def finished(spans: InMemorySpanExporter) -> tuple[ReadableSpan, ReadableSpan]:
    delegation, run = spans.get_finished_spans()
    return delegation, run


def test_a_delegation_is_a_client_span_below_its_run_and_the_parent_of_what_it_sends(
    telemetry: Telemetry, spans: InMemorySpanExporter, reader: InMemoryMetricReader
) -> None:
    with telemetry.server_run(REQUEST), delegation_span("flights", "http://flights:8000") as told:
        headers = outgoing_headers()
        told.answered(input_tokens=3, output_tokens=4)
    delegation, run = finished(spans)
    assert (delegation.name, delegation.kind) == ("delegate.flights", SpanKind.CLIENT)
    assert delegation.parent == run.get_span_context()
    context = delegation.get_span_context()
    assert context is not None
    assert headers["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
    assert dict(delegation.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "pais_lite",
        "gen_ai.agent.name": "flights",
        "url.full": "http://flights:8000",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
    }
    assert delegation.status.status_code is StatusCode.UNSET
    found = points(reader)
    assert found["kaos.delegations"][0] == "{delegation}"
    assert found["kaos.delegations"][1].value == 1
    assert found["kaos.delegation.duration"][0] == "s"
    assert found["kaos.delegation.duration"][1].attributes["gen_ai.agent.name"] == "flights"


@pytest.mark.parametrize("raised", [False, True])
def test_a_delegation_that_fails_is_an_error_whether_it_is_raised_or_told(
    telemetry: Telemetry, spans: InMemorySpanExporter, reader: InMemoryMetricReader, *, raised: bool
) -> None:
    error = ModelUnavailable("agent 'flights' did not answer")

    def delegate() -> None:
        with telemetry.server_run(REQUEST), delegation_span("flights") as told:
            if raised:
                raise error
            told.fail(error)

    if raised:
        with pytest.raises(ModelUnavailable):
            delegate()
    else:
        delegate()
    delegation, _ = finished(spans)
    assert delegation.status.status_code is StatusCode.ERROR
    assert [event.name for event in delegation.events] == ["exception"]
    assert points(reader)["kaos.delegations"][1].attributes["error.type"] == "model_unavailable"


def test_a_delegation_that_is_cancelled_is_no_error(
    telemetry: Telemetry, spans: InMemorySpanExporter
) -> None:
    with pytest.raises(KeyboardInterrupt), telemetry.server_run(REQUEST), delegation_span("flights"):
        raise KeyboardInterrupt
    delegation, _ = finished(spans)
    assert delegation.status.status_code is StatusCode.UNSET
    assert not delegation.events


def test_without_telemetry_a_delegation_is_silent_and_the_callers_trace_goes_along() -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    request = ServedRequest(
        **{
            **{name: getattr(REQUEST, name) for name in REQUEST.__slots__},
            "headers": [(b"traceparent", traceparent.encode())],
        }
    )
    with Telemetry().server_run(request), delegation_span("flights") as told:
        told.answered(output_tokens=1)
        told.fail(ValueError("never mind"))
        assert outgoing_headers()["traceparent"] == traceparent
    assert outgoing_headers() == {}
