"""The trace context: in from a caller's headers, out with our own requests, and into lines of the log.

All of it works with the API alone. Without an SDK, what a caller sent is the current context, and goes on unchanged.
"""

import logging
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpx2
from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

__all__ = [
    "TraceContextFilter",
    "incoming_context",
    "outgoing_headers",
    "send_trace_context",
    "trace_ids",
    "untraced",
]

HeaderPairs = Iterable[tuple[bytes, bytes]]


class _HeaderGetter(Getter[dict[str, list[str]]]):
    def get(self, carrier: dict[str, list[str]], key: str) -> list[str] | None:
        return carrier.get(key.lower())

    def keys(self, carrier: dict[str, list[str]]) -> list[str]:
        return list(carrier)


_GETTER = _HeaderGetter()


def incoming_context(headers: HeaderPairs) -> Context | None:
    """Return the context that the headers of an ASGI request carry, `None` where they carry none.

    A host that has already made a span of its own current has read the headers itself: its span is the parent.
    """
    # Most requests carry none; looking for the names costs a tenth of what the propagators do.
    wanted = propagate.get_global_textmap().fields
    found: dict[str, list[str]] = {}
    for key, value in headers:
        name = str(key, "latin-1").lower()
        if name in wanted:
            found.setdefault(name, []).append(str(value, "latin-1"))
    if not found or trace.get_current_span().get_span_context().is_valid:
        return None
    return propagate.extract(found, getter=_GETTER)


def outgoing_headers() -> dict[str, str]:
    """Return the headers that tell another service of the current trace; none where there is no trace."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers


async def send_trace_context(request: httpx2.Request) -> None:
    """Add the current trace context to a request: a `request` event hook of an `httpx2.AsyncClient`."""
    propagate.inject(request.headers)


def trace_ids() -> dict[str, str]:
    """Return `trace_id` and `span_id` of the current trace in hexadecimal, and nothing where there is no trace."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


class TraceContextFilter(logging.Filter):
    """Lets every record pass, with the `trace_id` and `span_id` of the trace that it was written in, or ``""``.

    Set on a handler, it covers the lines of every logger, a user's own included.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the attributes."""
        ids = trace_ids()
        record.trace_id = ids.get("trace_id", "")
        record.span_id = ids.get("span_id", "")
        return True


@contextmanager
def untraced() -> Iterator[None]:
    """Record no spans of what runs in the block, where the sampler follows its parent, as samplers do by default."""
    current = trace.get_current_span().get_span_context()
    unsampled = SpanContext(
        trace_id=current.trace_id or secrets.randbits(128) | 1,
        span_id=current.span_id or secrets.randbits(64) | 1,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.DEFAULT),
        trace_state=current.trace_state,
    )
    token = attach(trace.set_span_in_context(NonRecordingSpan(unsampled), get_current()))
    try:
        yield
    finally:
        detach(token)
