"""OpenTelemetry, or its absence: traces, metrics and logs of runs, and the trace context that travels with requests.

Only OpenTelemetry's API is imported here. Its SDK, and an exporter, come in with `OTEL_ENABLED=true`, unless the process
has providers already. Without them the context of a caller's trace still reaches model endpoints, logs and memory.
"""

from pais_lite.telemetry.context import (
    TraceContextFilter,
    outgoing_headers,
    send_trace_context,
    trace_ids,
    untraced,
)
from pais_lite.telemetry.delegation import DelegationSpan, delegation_span
from pais_lite.telemetry.server_run import Outcome, ServedRequest, ServerRun
from pais_lite.telemetry.telemetry import Telemetry

__all__ = [
    "DelegationSpan",
    "Outcome",
    "ServedRequest",
    "ServerRun",
    "Telemetry",
    "TraceContextFilter",
    "delegation_span",
    "outgoing_headers",
    "send_trace_context",
    "trace_ids",
    "untraced",
]
