"""A request through two processes is one trace, whichever way it is exported; metrics and log lines come along."""

import httpx2
import pytest

from tests.support.asgi import chat
from tests.support.endpoint import Endpoint
from tests.support.otlp import Collector, Span
from tests.support.processes import Process
from tests.telemetry.conftest import WORKER, Start, use_the_tool

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


def stream(server: Process, **headers: str) -> str:
    answer = httpx2.post(
        f"{server.url}/v1/chat/completions",
        json=chat("what is a house?", stream=True),
        headers=headers,
        timeout=30,
    )
    assert answer.status_code == 200
    assert answer.text.endswith("data: [DONE]\n\n")
    return answer.headers["x-session-id"]


def tree(spans: list[Span], parent_id: str, depth: int = 0) -> list[str]:
    """Return one line for each span below a parent, in order of time, indented by generation."""
    lines: list[str] = []
    for span in sorted((span for span in spans if span.parent_id == parent_id), key=lambda span: span.start):
        lines += [
            f"{'  ' * depth}{span.service}: {span.name} ({span.kind})",
            *tree(spans, span.span_id, depth + 1),
        ]
    return lines


@pytest.mark.parametrize(
    ("protocol", "encoding"), [("http/protobuf", "protobuf"), ("http/json", "json"), ("grpc", "grpc")]
)
def test_a_stream_through_two_agents_is_one_trace(
    collector: Collector, model: Endpoint, start: Start, protocol: str, encoding: str
) -> None:
    model.script = use_the_tool
    telemetry = {
        "OTEL_ENABLED": "true",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc_url if encoding == "grpc" else collector.http_url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    with (
        start("worker", model.url, WORKER, **telemetry) as worker,
        start("orchestrator", worker.url, **telemetry) as orchestrator,
    ):
        session = stream(orchestrator, traceparent=TRACEPARENT)
        roots = ("orchestrator", "worker")
        collector.until(
            lambda found: {span.service for span in found.spans if span.name == "server-run"} == set(roots)
        )
        measured = {"gen_ai.server.request.duration", "http.server.active_requests"}
        collector.until(lambda found: measured <= {point.name for point in found.measurements})
        collector.until(lambda found: any(line.logger == "users.own.tools" for line in found.logs))
        collector.until(lambda found: sum(line.logger == "pais_lite.access" for line in found.logs) == 2)

    spans = collector.spans
    assert tree(spans, CALLER) == [
        "orchestrator: server-run (server)",
        "  orchestrator: invoke_agent orchestrator (internal)",
        "    orchestrator: chat scripted (client)",
        "      worker: server-run (server)",
        "        worker: invoke_agent worker (internal)",
        "          worker: chat scripted (client)",
        "          worker: execute_tool look_up (internal)",
        "          worker: chat scripted (client)",
    ]
    assert {span.trace_id for span in spans} == {TRACE}
    by_id = {span.span_id: span for span in spans}
    for span in spans:
        assert span.start <= span.end
        if parent := by_id.get(span.parent_id):
            assert parent.start <= span.start, f"{span.name} began before its parent"
            assert span.end <= parent.end, f"{span.name} ended after its parent"
    assert not any(span.failed for span in spans)

    first = next(span for span in spans if span.parent_id == CALLER).attributes
    assert first["gen_ai.operation.name"] == "invoke_agent"
    assert first["gen_ai.agent.name"] == "orchestrator"
    assert first["gen_ai.conversation.id"] == session
    assert first["gen_ai.request.model"] == "agent"
    assert first["gen_ai.request.stream"] is True
    assert first["gen_ai.response.finish_reasons"] == ["stop"]
    # Twice what the scripted model says of each call.
    assert (first["gen_ai.usage.input_tokens"], first["gen_ai.usage.output_tokens"]) == (22, 14)
    assert first["http.request.method"] == "POST"
    assert first["http.route"] == "/v1/chat/completions"
    assert first["http.response.status_code"] == 200
    assert "error.type" not in first

    own = next(line for line in collector.logs if line.logger == "users.own.tools")
    assert (own.body, own.trace_id, own.severity) == ("looking up house", TRACE, "INFO")
    assert by_id[own.span_id].name == "execute_tool look_up"
    for line in collector.logs:
        if line.logger == "pais_lite.access":
            assert line.trace_id == TRACE
            assert by_id[line.span_id].name == "server-run"
            assert line.attributes["status"] == 200
    assert collector.encodings == {encoding}
    assert all(headers["x-tenant"] == "blue" for headers in collector.headers)
    assert all(about["deployment.environment.name"] == "test" for about in collector.resources)
    assert {about["service.name"] for about in collector.resources} == set(roots)
    assert {"gen_ai.server.time_to_first_token", "gen_ai.server.time_per_output_token"} <= {
        point.name for point in collector.measurements
    }


def test_what_is_left_is_sent_before_the_process_ends(
    collector: Collector, model: Endpoint, start: Start
) -> None:
    later = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_BLRP_SCHEDULE_DELAY": "600000"}
    with start(
        "short-lived",
        model.url,
        OTEL_ENABLED="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.http_url,
        OTEL_METRIC_EXPORT_INTERVAL="600000",
        **later,
    ) as server:
        stream(server)
        assert not collector.spans
        assert server.stop() == 0
    assert "server-run" in {span.name for span in collector.spans}
    assert "pais_lite.access" in {line.logger for line in collector.logs}
    assert "gen_ai.server.request.duration" in {point.name for point in collector.measurements}


def test_without_the_sdk_the_callers_trace_goes_on_to_the_model(model: Endpoint, start: Start) -> None:
    with start("plain", model.url, LOG_FORMAT="json", AGENT_ACCESS_LOG="true") as server:
        stream(server, traceparent=TRACEPARENT, tracestate="vendor=1", **{"x-session-id": "s"})
        events = httpx2.get(f"{server.url}/memory/events?session_id=s").json()["events"]
        assert server.stop() == 0
        written = server.output()
    assert model.calls[0].headers["traceparent"] == TRACEPARENT
    assert model.calls[0].headers["tracestate"] == "vendor=1"
    assert [event["metadata"]["trace_id"] for event in events] == [TRACE, TRACE]
    assert f'"trace_id": "{TRACE}", "span_id": "{CALLER}"' in written


def test_a_request_without_a_trace_goes_to_the_model_without_one(model: Endpoint, start: Start) -> None:
    with start("plain", model.url) as server:
        stream(server)
    assert "traceparent" not in model.calls[0].headers


def test_the_choice_not_to_record_is_kept_and_passed_on(
    collector: Collector, model: Endpoint, start: Start
) -> None:
    with start(
        "sampled", model.url, OTEL_ENABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT=collector.http_url
    ) as server:
        stream(server, traceparent=f"00-{TRACE}-{CALLER}-00")
        assert server.stop() == 0
    assert not collector.spans
    assert model.calls[0].headers["traceparent"].startswith(f"00-{TRACE}-")
    assert model.calls[0].headers["traceparent"].endswith("-00")
