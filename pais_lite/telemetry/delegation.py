"""`delegate.{name}`: the span and the metrics of a task that is handed over to another agent."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from opentelemetry import trace
from opentelemetry.context import get_value
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from pais_lite.telemetry.server_run import SIGNALS, Signals

__all__ = ["DelegationSpan", "delegation_span"]


class DelegationSpan:
    """What the one who delegates can tell of it. Without telemetry, nobody listens."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.error_type: str | None = None

    def fail(self, error: BaseException) -> None:
        """Note that it failed: for those who turn the failure into an answer for the model."""
        self.error_type = getattr(error, "code", None) or type(error).__qualname__
        if self._span.is_recording():
            self._span.set_attribute("error.type", self.error_type)
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))

    def answered(self, *, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Note what the other agent used."""
        self._span.set_attributes(
            {"gen_ai.usage.input_tokens": input_tokens, "gen_ai.usage.output_tokens": output_tokens}
        )


@contextmanager
def delegation_span(name: str, url: str | None = None) -> Iterator[DelegationSpan]:
    """Open a span for a task that is handed over to the agent `name`, and count it.

    Within the block, `outgoing_headers` and `send_trace_context` name this span as the parent. An exception that leaves
    the block is noted; cancellation is not an error. Inside a run of a server without telemetry, and outside of any run,
    this does nothing.
    """
    signals = get_value(SIGNALS)
    if not isinstance(signals, Signals):
        yield DelegationSpan(trace.INVALID_SPAN)
        return
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "pais_lite",
        "gen_ai.agent.name": name,
    }
    more: dict[str, AttributeValue] = {"url.full": url} if url else {}
    with signals.tracer.start_as_current_span(
        f"delegate.{name}",
        kind=SpanKind.CLIENT,
        attributes={**attributes, **more},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        told = DelegationSpan(span)
        began = perf_counter()
        try:
            yield told
        except Exception as exc:
            told.fail(exc)
            raise
        finally:
            if told.error_type is not None:
                attributes["error.type"] = told.error_type
            signals.instruments.delegations.add(1, attributes)
            signals.instruments.delegation_duration.record(perf_counter() - began, attributes)
