"""`server-run`: the span around one run and the whole response to it, its metrics, and its line in the log."""

import logging
from collections.abc import Sequence
from contextvars import Token
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current, set_value
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from pais_lite.telemetry.context import incoming_context
from pais_lite.telemetry.instruments import Instruments

__all__ = ["SIGNALS", "Outcome", "ServedRequest", "ServerRun", "Signals"]

_log = logging.getLogger("pais_lite.access")

# Under this key the context of a run holds its `Signals`, for the spans of delegations inside it.
SIGNALS = "pais_lite.signals"
_OPERATION = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "pais_lite"}


@dataclass(frozen=True, slots=True)
class Signals:
    """Where spans and measurements of a server go."""

    tracer: Tracer
    instruments: Instruments


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedRequest:
    """A request that starts a run. `route` is the pattern that matched, `server` the address that was connected to.

    A run that another agent of the process asked for has `delegated_by`, that agent's name, and nothing of HTTP.
    """

    agent: str
    model: str
    session_id: str
    stream: bool
    method: str = ""
    route: str = ""
    path: str = ""
    scheme: str = ""
    http_version: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    server: tuple[str, int | None] | None = None
    delegated_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended. `error` is what went wrong, `error_type` a word for its kind; a client that left is no error."""

    status: int | None
    finish_reason: str | None = None
    error: BaseException | None = None
    error_type: str | None = None
    client_left: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class ServerRun:
    """Open from the start of a run to the end of its response; what is written or begun inside belongs to it.

    Without `signals` there is no span, but the caller's context is the current one all the same.
    """

    def __init__(self, request: ServedRequest, signals: Signals | None, *, leave_line: bool) -> None:
        self._request = request
        self._signals = signals
        self._leave_line = leave_line
        self._span: Span | None = None
        self._token: Token[Context] | None = None
        self._began = 0.0
        self._first_token_after: float | None = None
        self._ended_at: int | None = None

    def __enter__(self) -> Self:
        self._began = perf_counter()
        context = incoming_context(self._request.headers)
        if self._signals is not None:
            self._span = self._signals.tracer.start_span(
                "server-run", context, SpanKind.SERVER, _request_attributes(self._request)
            )
            context = set_value(
                SIGNALS, self._signals, trace.set_span_in_context(self._span, context or get_current())
            )
        if context is not None:
            self._token = attach(context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span is not None:
            self._span.end(self._ended_at)
        if self._token is not None:
            detach(self._token)

    @property
    def wants_outcome(self) -> bool:
        """Whether somebody wants to know how it ended: whoever reads the log, or telemetry."""
        return self._leave_line or self._signals is not None

    @property
    def waits_for_first_token(self) -> bool:
        """Whether somebody wants to know when the first token comes, and it has not come yet."""
        return self._signals is not None and self._first_token_after is None

    def first_token(self) -> None:
        """Note that the first token of the answer is about to be sent."""
        self._first_token_after = perf_counter() - self._began

    def finish(self, outcome: Outcome, *, ended_at: int | None = None) -> None:
        """Tell how it ended, in the log, on the span and in the metrics. Called once, inside.

        `ended_at` is when the span ended, in nanoseconds since the epoch, if it has by now: whoever has all of an answer
        ends a span of its own at once, and that is the parent of this one.
        """
        self._ended_at = ended_at
        duration = perf_counter() - self._began
        if self._leave_line:
            self._write_line(outcome, duration)
        if self._span is not None and self._span.is_recording():
            _describe_outcome(self._span, outcome)
        if self._signals is not None:
            self._measure(self._signals.instruments, outcome, duration)

    def _measure(self, instruments: Instruments, outcome: Outcome, duration: float) -> None:
        request = self._request
        # What a client calls the model is any text, and would make a time series of its own: the agent is the model.
        attributes: dict[str, AttributeValue] = {
            **_OPERATION,
            "gen_ai.request.model": request.agent,
            "gen_ai.agent.name": request.agent,
            **_server_attributes(request),
        }
        failed = {"error.type": outcome.error_type} if outcome.error_type else {}
        instruments.request_duration.record(duration, {**attributes, **failed})
        first = self._first_token_after
        if first is None or failed or outcome.client_left:
            return
        instruments.time_to_first_token.record(first, attributes)
        if outcome.output_tokens > 1:
            each = (duration - first) / (outcome.output_tokens - 1)
            instruments.time_per_output_token.record(each, attributes)

    def _write_line(self, outcome: Outcome, duration: float) -> None:
        request = self._request
        end = "client left" if outcome.client_left else outcome.error_type or outcome.finish_reason or "ended"
        if request.delegated_by:
            about: dict[str, Any] = {"delegated_by": request.delegated_by, "agent": request.agent}
            what = f"task of {request.delegated_by} for {request.agent}"
        else:
            about = {"method": request.method, "route": request.route, "status": outcome.status}
            what = f"{request.method} {request.route} {outcome.status or '-'}"
        fields: dict[str, Any] = {
            **about,
            "duration_ms": round(duration * 1000, 1),
            "input_tokens": outcome.input_tokens,
            "output_tokens": outcome.output_tokens,
            "session_id": request.session_id,
            "outcome": end,
        }
        _log.info(
            "%s in %.1f ms, %d + %d tokens, session %s, %s",
            what,
            duration * 1000,
            outcome.input_tokens,
            outcome.output_tokens,
            request.session_id,
            end,
            extra={"fields": fields},
        )


def _request_attributes(request: ServedRequest) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        **_OPERATION,
        "gen_ai.agent.name": request.agent,
        "gen_ai.conversation.id": request.session_id,
        "gen_ai.request.model": request.model,
        "gen_ai.request.stream": request.stream,
        **_server_attributes(request),
    }
    if not request.delegated_by:
        attributes |= {
            "http.request.method": request.method,
            "http.route": request.route,
            "url.path": request.path,
            "url.scheme": request.scheme,
            "network.protocol.version": request.http_version,
        }
    for name, value in request.headers:
        if name.lower() == b"user-agent":
            attributes["user_agent.original"] = str(value, "latin-1")
    return attributes


def _server_attributes(request: ServedRequest) -> dict[str, AttributeValue]:
    if request.server is None:
        return {}
    address, port = request.server
    return {"server.address": address} if port is None else {"server.address": address, "server.port": port}


def _describe_outcome(span: Span, outcome: Outcome) -> None:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.usage.input_tokens": outcome.input_tokens,
        "gen_ai.usage.output_tokens": outcome.output_tokens,
    }
    if outcome.cached_tokens:
        attributes["gen_ai.usage.cache_read.input_tokens"] = outcome.cached_tokens
    if outcome.reasoning_tokens:
        attributes["gen_ai.usage.reasoning.output_tokens"] = outcome.reasoning_tokens
    if outcome.finish_reason is not None:
        attributes["gen_ai.response.finish_reasons"] = [outcome.finish_reason]
    if outcome.status is not None:
        attributes["http.response.status_code"] = outcome.status
    if outcome.error_type is not None:
        attributes["error.type"] = outcome.error_type
    span.set_attributes(attributes)
    if outcome.error is not None:
        span.record_exception(outcome.error)
        # What the caller did wrong is not the server's error; a stream that fails has said 200 already.
        if outcome.status is None or not 400 <= outcome.status < 500:
            span.set_status(Status(StatusCode.ERROR, str(outcome.error)))
