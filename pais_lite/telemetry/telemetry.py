"""`Telemetry`: what a server tells about its runs, and to whom."""

import asyncio
import logging
import threading
from collections.abc import Mapping
from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Self

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import InstrumentationSettings

from pais_lite.settings import Settings
from pais_lite.telemetry.instruments import SCOPE, Instruments
from pais_lite.telemetry.server_run import ServedRequest, ServerRun, Signals
from pais_lite.version import __version__

if TYPE_CHECKING:
    from pais_lite.telemetry.providers import Providers

__all__ = ["Telemetry"]

_log = logging.getLogger("pais_lite.telemetry")

# How long a collector may take for what is left at the end, and how much of it even runs that took all the grace leave.
_MAX_FLUSH_SECONDS = 5.0
_MIN_FLUSH_SECONDS = 1.0
# https://opentelemetry.io/docs/specs/semconv/http/http-metrics/: other methods are one.
_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_NO_CONTENT = frozenset({"false", "no_content", "event_only"})


class Telemetry:
    """The telemetry of one server. Without providers it is off: no span, no measurement, and no SDK."""

    def __init__(
        self,
        traces: TracerProvider | None = None,
        measurements: MeterProvider | None = None,
        *,
        access_log: bool = False,
        grace_seconds: float = 25.0,
    ) -> None:
        self._signals: Signals | None = None
        if traces is not None and measurements is not None:
            tracer = traces.get_tracer(SCOPE, __version__)
            self._signals = Signals(tracer, Instruments(measurements))
        self._leave_line = access_log or self._signals is not None
        self._grace_seconds = grace_seconds
        self._grace_began: float | None = None
        self._own: Providers | None = None
        self._exported: tuple[logging.Logger, logging.Handler] | None = None

    @classmethod
    def from_settings(cls, settings: Settings, agent_name: str) -> Self:
        """Make what the settings ask for: with `OTEL_ENABLED`, the providers of the process, or else new ones for it.

        Raises:
            ConfigurationError: an exporter is unknown or not installed; the message says what to install.
        """
        variables = dict(settings.otel_variables)
        access_log, grace = settings.agent_access_log, settings.shutdown_grace_seconds
        if not settings.otel_enabled or variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return cls(access_log=access_log, grace_seconds=grace)
        # Off means off: only those who turn it on have the SDK imported.
        from pais_lite.telemetry.providers import host_has_providers, install_providers

        own = None if host_has_providers() else install_providers(agent_name, variables)
        traces, measurements = trace.get_tracer_provider(), metrics.get_meter_provider()
        _instrument_agents(traces, measurements, _may_show_content(variables))
        self = cls(traces, measurements, access_log=access_log, grace_seconds=grace)
        self._own = own
        self.export_logs(logging.getLogger("pais_lite"))
        return self

    def server_run(self, request: ServedRequest) -> ServerRun:
        """Return the span to open around a run and its response."""
        return ServerRun(request, self._signals, leave_line=self._leave_line)

    @property
    def logs_runs(self) -> bool:
        """Whether each run leaves its line in the log."""
        return self._leave_line

    def request_begins(self, method: str, scheme: str) -> None:
        """Count one more HTTP request under way."""
        self._count(1, method, scheme)

    def request_ends(self, method: str, scheme: str) -> None:
        """Count one HTTP request less."""
        self._count(-1, method, scheme)

    def export_logs(self, logger: logging.Logger) -> None:
        """Export what is written to `logger` and those below it, and to no other; nothing where the host exports."""
        if self._own is None:
            return
        from pais_lite.telemetry.logs import ExportingHandler

        self._stop_exporting_logs()
        handler = ExportingHandler(self._own.logs)
        logger.addHandler(handler)
        self._exported = (logger, handler)

    def grace_begins(self) -> None:
        """Note that the server is about to stop, and that `aclose` shall keep to what is left of its grace."""
        if self._grace_began is None:
            self._grace_began = monotonic()

    async def aclose(self) -> None:
        """Send what waits to be sent, unless the collector takes too long. The host's providers are left to the host."""
        self._stop_exporting_logs()
        if self._own is None:
            return
        gone = 0.0 if self._grace_began is None else monotonic() - self._grace_began
        seconds = min(_MAX_FLUSH_SECONDS, max(_MIN_FLUSH_SECONDS, self._grace_seconds - gone))
        own, loop, done = self._own, asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            if not own.flush(seconds):
                _log.warning("the collector took longer than %g s: what it had not taken is lost", seconds)
            loop.call_soon_threadsafe(done.set)

        threading.Thread(target=flush, daemon=True).start()
        await done.wait()

    def _count(self, change: int, method: str, scheme: str) -> None:
        if self._signals is not None:
            known = method if method in _METHODS else "_OTHER"
            self._signals.instruments.active_requests.add(
                change, {"http.request.method": known, "url.scheme": scheme}
            )

    def _stop_exporting_logs(self) -> None:
        if self._exported is not None:
            logger, handler = self._exported
            logger.removeHandler(handler)
            self._exported = None


@cache
def _instrument_agents(traces: TracerProvider, measurements: MeterProvider, show_content: bool) -> None:
    """Turn on Pydantic AI's own spans and metrics, for all agents of the process, and once."""
    PydanticAgent.instrument_all(
        InstrumentationSettings(
            tracer_provider=traces,
            meter_provider=measurements,
            include_content=show_content,
            # An image is larger than a collector takes.
            include_binary_content=False,
            # The tools are in `gen_ai.tool.definitions` as well; said twice, they cost twice.
            include_model_request_parameters=False,
            version=6,
        )
    )


def _may_show_content(variables: Mapping[str, str]) -> bool:
    chosen = variables.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").strip().lower()
    return chosen not in _NO_CONTENT
