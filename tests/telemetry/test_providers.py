"""Who gets the spans, by the standard variables; and what the process imports for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

# Reports what was set up, after a request through the ASGI application.
PROGRAM = """
import asyncio, json, sys
{before}
from pydantic_ai import Agent
from pais_lite import serve
from pais_lite.errors import ConfigurationError
from tests.support.asgi import ask, chat
{imports}
try:
    server = serve(Agent(name="small"), debug_mock_responses=["hi"])
except ConfigurationError as exc:
    print(json.dumps({{"error": exc.message}}))
    sys.exit()
async def main():
    async with server.lifespan():
        answer = await ask(server, "POST", "/v1/chat/completions", chat())
        assert answer.status == 200, answer
asyncio.run(main())
from opentelemetry import trace
report = {{
    "sdk": "opentelemetry.sdk" in sys.modules,
    "exporters": sorted(name for name in sys.modules if name.startswith("opentelemetry.exporter.otlp") and name.endswith("trace_exporter")),
    "provider": type(trace.get_tracer_provider()).__module__,
    {extra}
}}
print(json.dumps(report))
"""
MISSING = """
import importlib.metadata as metadata
find = metadata.entry_points
metadata.entry_points = lambda **wanted: [] if "otlp" in wanted.get("name", "") else find(**wanted)
"""
HOST = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)
"""


def report(
    tmp_path: Path, *, before: str = "", imports: str = "", extra: str = "", **env: str
) -> dict[str, object]:
    program = PROGRAM.format(before=before, imports=imports, extra=extra)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"PYTHONPATH": str(root), "PATH": "", **env},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


ON = {"OTEL_ENABLED": "true"}
NONE = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def test_off_means_that_no_sdk_is_imported_for_a_request_either(tmp_path: Path) -> None:
    assert report(tmp_path)["sdk"] is False


def test_a_disabled_sdk_is_not_imported(tmp_path: Path) -> None:
    assert report(tmp_path, OTEL_SDK_DISABLED="true", **ON)["sdk"] is False


def test_no_exporter_is_imported_where_none_is_wanted(tmp_path: Path) -> None:
    found = report(tmp_path, **ON, **NONE)
    assert found["sdk"] is True
    assert found["exporters"] == []
    assert found["provider"] == "opentelemetry.sdk.trace"


def test_variables_come_from_the_env_file_too(tmp_path: Path) -> None:
    lines = [f"{name}={value}" for name, value in {**ON, **NONE}.items()]
    (tmp_path / ".env").write_text("\n".join(lines))
    assert report(tmp_path)["exporters"] == []


def test_spans_can_go_to_the_console(tmp_path: Path) -> None:
    found = report(tmp_path, **ON, **{**NONE, "OTEL_TRACES_EXPORTER": "console"})
    assert found["exporters"] == []


@pytest.mark.parametrize(("protocol", "extra"), [("", "[otlp]"), ("grpc", "[otlp-grpc]")])
def test_a_missing_exporter_is_an_error_that_names_the_extra(
    tmp_path: Path, protocol: str, extra: str
) -> None:
    chosen = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol} if protocol else {}
    found = report(tmp_path, before=MISSING, **ON, **chosen)
    assert (
        found["error"] == f"OTEL_ENABLED: the exporter of traces is missing: pip install 'pais-lite{extra}'"
    )


def test_an_unknown_protocol_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    found = report(
        tmp_path, **ON, OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="carrier-pigeon", OTEL_TRACES_EXPORTER="none"
    )
    assert str(found["error"]).startswith(
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: 'carrier-pigeon' is not one of"
    )


def test_an_unknown_exporter_is_an_error_that_names_the_variable(tmp_path: Path) -> None:
    found = report(tmp_path, **ON, OTEL_TRACES_EXPORTER="zipper")
    assert found["error"] == "OTEL_TRACES_EXPORTER: there is no exporter 'zipper' of traces"


def test_a_host_with_providers_keeps_them_and_gets_the_spans(tmp_path: Path) -> None:
    found = report(
        tmp_path,
        before=HOST,
        imports="from opentelemetry import _logs",
        extra="""
        "kept": trace.get_tracer_provider() is provider,
        "spans": [span.name for span in spans.get_finished_spans()],
        "meters": type(metrics.get_meter_provider()).__module__,
        "logs": type(_logs.get_logger_provider()).__module__,
        """,
        **ON,
    )
    assert found["kept"] is True
    spans = found["spans"]
    assert isinstance(spans, list)
    assert spans[-2:] == ["invoke_agent small", "server-run"]
    assert [name.split(" ")[0] for name in spans[:-2]] == ["chat"]
    assert found["exporters"] == []
    # Not even the kinds that the host has none of.
    assert str(found["meters"]).startswith("opentelemetry.metrics")
    assert str(found["logs"]).startswith("opentelemetry._logs")


def test_a_host_with_providers_gets_nothing_from_a_server_that_is_off(tmp_path: Path) -> None:
    found = report(
        tmp_path, before=HOST, extra='"spans": [span.name for span in spans.get_finished_spans()],'
    )
    assert found["spans"] == []
