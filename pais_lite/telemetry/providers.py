"""Providers and exporters by the standard `OTEL_*` variables. Nobody imports the SDK but this module.

The SDK reads the variables from the process's environment by itself, all but the choice of exporters, for which it has no
public function: that is made here, by the entry points under which exporters are published.
"""

import atexit
import os
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from pais_lite.errors import ConfigurationError
from pais_lite.version import __version__

__all__ = ["Providers", "host_has_providers", "install_providers"]

_PROTOCOLS = {
    "http/protobuf": "otlp_proto_http",
    "http/json": "otlp_json_http",
    "grpc": "otlp_proto_grpc",
}
_INSTALLS = {
    "otlp_proto_http": "pip install 'pais-lite[otlp]'",
    "otlp_proto_grpc": "pip install 'pais-lite[otlp-grpc]'",
    "otlp_json_http": "pip install --pre opentelemetry-exporter-otlp-json-http",
}


class Providers:
    """The providers that were installed for this process, and their last words."""

    def __init__(self, traces: TracerProvider, metrics: MeterProvider, logs: LoggerProvider) -> None:
        self.traces = traces
        self.metrics = metrics
        self.logs = logs

    def flush(self, seconds: float) -> bool:
        """Send what waits to be sent; return whether it was within `seconds`, and all of it was handed over.

        A collector that did not take it in time is not given another chance when the process ends.
        """
        deadline = time.monotonic() + seconds
        milliseconds = max(1, int(seconds * 1000))
        flushes: list[Callable[[], object]] = [
            lambda: self.traces.force_flush(milliseconds),
            lambda: self.logs.force_flush(milliseconds),
            lambda: self.metrics.force_flush(milliseconds),
        ]
        # Exporters keep to no deadline but their own. A daemon's work can be left behind.
        threads = [threading.Thread(target=flush, daemon=True) for flush in flushes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        in_time = not any(thread.is_alive() for thread in threads)
        if not in_time:
            for provider in (self.traces, self.metrics, self.logs):
                atexit.unregister(provider.shutdown)
        return in_time


def host_has_providers() -> bool:
    """Tell whether somebody has installed providers of any kind in this process."""
    # What the API returns while nobody has is a class of its own.
    found = (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider())
    apis = ("opentelemetry.trace", "opentelemetry.metrics", "opentelemetry._logs")
    return not all(
        type(provider).__module__.startswith(api) for provider, api in zip(found, apis, strict=True)
    )


def install_providers(agent_name: str, variables: Mapping[str, str]) -> Providers:
    """Make the providers that the variables describe, and set them for the whole process.

    Raises:
        ConfigurationError: an exporter is unknown or not installed; the message says what to install.
    """
    # From `.env` too, for the SDK looks nowhere else.
    os.environ.update(variables)
    span_exporters = _exporters("traces", variables)
    metric_exporters = _exporters("metrics", variables)
    log_exporters = _exporters("logs", variables)
    defaults = Resource.create({"service.name": agent_name, "service.version": __version__})
    resource = defaults.merge(OTELResourceDetector().detect())
    traces = TracerProvider(resource=resource)
    for exporter in span_exporters:
        traces.add_span_processor(BatchSpanProcessor(exporter))
    readers = [
        exporter if isinstance(exporter, MetricReader) else PeriodicExportingMetricReader(exporter)
        for exporter in metric_exporters
    ]
    measurements = MeterProvider(resource=resource, metric_readers=readers)
    logs = LoggerProvider(resource=resource)
    for exporter in log_exporters:
        logs.add_log_record_processor(BatchLogRecordProcessor(exporter))
    trace.set_tracer_provider(traces)
    metrics.set_meter_provider(measurements)
    _logs.set_logger_provider(logs)
    return Providers(traces, measurements, logs)


def _exporters(signal: str, variables: Mapping[str, str]) -> list[Any]:
    """Return the exporters that `OTEL_{signal}_EXPORTER` names: by default OTLP, by default over HTTP."""
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    names = [name.strip() for name in variables.get(variable, "otlp").split(",")]
    return [_exporter(signal, name, variable, variables) for name in names if name not in ("", "none")]


def _exporter(signal: str, name: str, variable: str, variables: Mapping[str, str]) -> Any:
    if name == "otlp":
        variable = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
        if variable not in variables:
            variable = "OTEL_EXPORTER_OTLP_PROTOCOL"
        protocol = variables.get(variable, "http/protobuf").strip()
        if protocol not in _PROTOCOLS:
            raise ConfigurationError(f"{variable}: {protocol!r} is not one of {', '.join(_PROTOCOLS)}")
        name = _PROTOCOLS[protocol]
    entry = next(iter(entry_points(group=f"opentelemetry_{signal}_exporter", name=name)), None)
    if entry is None:
        if name in _INSTALLS:
            raise ConfigurationError(f"OTEL_ENABLED: the exporter of {signal} is missing: {_INSTALLS[name]}")
        raise ConfigurationError(f"{variable}: there is no exporter {name!r} of {signal}")
    try:
        return entry.load()()
    except Exception as exc:
        raise ConfigurationError(f"{variable}: the exporter of {signal} cannot be made: {exc}") from exc
