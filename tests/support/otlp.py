"""A collector on loopback ports: takes OTLP over HTTP, as protobuf and as JSON, and over gRPC, and keeps it all."""

import base64
import gzip
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic
from typing import Any, cast

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

TIMEOUT = 30.0

_REQUESTS: dict[str, Any] = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "/v1/logs": logs_service_pb2.ExportLogsServiceRequest,
}
_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True)
class Span:
    """A span, its ids in hexadecimal, its times in nanoseconds."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any]
    events: tuple[str, ...]


@dataclass(frozen=True)
class LogLine:
    """A log record."""

    service: str
    logger: str
    severity: str
    body: str
    trace_id: str
    span_id: str
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """One data point of a metric, the latest that came of its series."""

    service: str
    name: str
    unit: str
    attributes: dict[str, Any]
    count: int
    total: float
    bounds: tuple[float, ...]


@dataclass
class Collector:
    """What has arrived, and how."""

    http_url: str = ""
    grpc_url: str = ""
    spans: list[Span] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    encodings: set[str] = field(default_factory=set)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._arrived = threading.Condition()

    def until(self, condition: Callable[["Collector"], object], timeout: float = TIMEOUT) -> None:
        """Wait until what has arrived fulfils a condition."""
        deadline = monotonic() + timeout
        with self._arrived:
            while not condition(self):
                left = deadline - monotonic()
                if left <= 0 or not self._arrived.wait(left):
                    raise AssertionError(f"never came; there are {sorted(span.name for span in self.spans)}")

    def take(self, request: Any, encoding: str, headers: dict[str, str]) -> None:
        """Keep what one export holds."""
        with self._arrived:
            self.encodings.add(encoding)
            self.headers.append(headers)
            for resource in getattr(request, "resource_spans", ()):
                about = self._about(resource)
                for scope in resource.scope_spans:
                    self.spans += [_span(about, span) for span in scope.spans]
            for resource in getattr(request, "resource_logs", ()):
                about = self._about(resource)
                for scope in resource.scope_logs:
                    self.logs += [_log_line(about, scope.scope.name, record) for record in scope.log_records]
            for resource in getattr(request, "resource_metrics", ()):
                about = self._about(resource)
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        self.measurements += _measurements(about, metric)
            self._arrived.notify_all()

    def _about(self, resource: Any) -> str:
        attributes = _attributes(resource.resource.attributes)
        self.resources.append(attributes)
        return str(attributes["service.name"])


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _span(service: str, span: Any) -> Span:
    return Span(
        service=service,
        name=span.name,
        kind=_KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == 2,
        attributes=_attributes(span.attributes),
        events=tuple(event.name for event in span.events),
    )


def _log_line(service: str, logger: str, record: Any) -> LogLine:
    return LogLine(
        service=service,
        logger=logger,
        severity=record.severity_text,
        body=record.body.string_value,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        attributes=_attributes(record.attributes),
    )


def _measurements(service: str, metric: Any) -> list[Measurement]:
    kind = metric.WhichOneof("data")
    points = getattr(metric, kind).data_points
    return [
        Measurement(
            service=service,
            name=metric.name,
            unit=metric.unit,
            attributes=_attributes(point.attributes),
            count=point.count if kind == "histogram" else 1,
            total=point.sum if kind == "histogram" else point.as_double or point.as_int,
            bounds=tuple(point.explicit_bounds) if kind == "histogram" else (),
        )
        for point in points
    ]


def _ids_as_base64(value: Any) -> Any:
    """Return OTLP's JSON as protobuf's JSON has it: the one writes ids in hexadecimal, the other in base64."""
    if isinstance(value, list):
        return [_ids_as_base64(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: base64.b64encode(bytes.fromhex(item)).decode()
        if name in ("traceId", "spanId", "parentSpanId")
        else _ids_as_base64(item)
        for name, item in value.items()
    }


def _http_handler(collector: Collector) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            request = _REQUESTS[self.path]()
            is_json = self.headers["content-type"].startswith("application/json")
            if is_json:
                json_format.ParseDict(_ids_as_base64(json.loads(body)), request)
            else:
                request.ParseFromString(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            collector.take(request, "json" if is_json else "protobuf", headers)
            answer = b"{}" if is_json else b""
            self.send_response(200)
            self.send_header("content-type", self.headers["content-type"])
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


def _servicer(collector: Collector, base: Any, response: Any) -> Any:
    class Servicer(base):  # type: ignore[misc]
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            collector.take(
                request, "grpc", {name: str(value) for name, value in context.invocation_metadata()}
            )
            return response()

    return Servicer()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector for as long as the block lasts."""
    collector = Collector()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _http_handler(collector))
    http.daemon_threads = True
    rpc = grpc.server(ThreadPoolExecutor(4))
    # Generated code, without types.
    traces, metrics, logs = (
        cast("Any", module)
        for module in (trace_service_pb2_grpc, metrics_service_pb2_grpc, logs_service_pb2_grpc)
    )
    traces.add_TraceServiceServicer_to_server(
        _servicer(collector, traces.TraceServiceServicer, trace_service_pb2.ExportTraceServiceResponse), rpc
    )
    metrics.add_MetricsServiceServicer_to_server(
        _servicer(
            collector, metrics.MetricsServiceServicer, metrics_service_pb2.ExportMetricsServiceResponse
        ),
        rpc,
    )
    logs.add_LogsServiceServicer_to_server(
        _servicer(collector, logs.LogsServiceServicer, logs_service_pb2.ExportLogsServiceResponse), rpc
    )
    collector.http_url = f"http://127.0.0.1:{http.server_port}"
    collector.grpc_url = f"http://127.0.0.1:{rpc.add_insecure_port('127.0.0.1:0')}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    rpc.start()
    try:
        yield collector
    finally:
        http.shutdown()
        http.server_close()
        rpc.stop(None).wait(TIMEOUT)
        thread.join(TIMEOUT)
