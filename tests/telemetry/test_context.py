"""The trace context, in and out, without an SDK."""

import logging

import httpx2
import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach

from pais_lite.telemetry import (
    TraceContextFilter,
    outgoing_headers,
    send_trace_context,
    trace_ids,
    untraced,
)
from pais_lite.telemetry.context import incoming_context

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


def test_headers_come_in_whatever_their_case_and_go_out_the_same() -> None:
    context = incoming_context(
        [
            (b"Host", b"a"),
            (b"TraceParent", TRACEPARENT.encode()),
            (b"tracestate", b"a=1"),
            (b"tracestate", b"b=2"),
        ]
    )
    assert context is not None
    token = attach(context)
    try:
        assert trace_ids() == {"trace_id": TRACE, "span_id": SPAN}
        assert outgoing_headers() == {"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"}
    finally:
        detach(token)
    assert trace_ids() == {}
    assert outgoing_headers() == {}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\xfe",
        b"00-0-0-00",
        b"ff-" + TRACE.encode() + b"-" + SPAN.encode() + b"-01",
        b"00-" + b"0" * 32 + b"-" + SPAN.encode() + b"-01",
        b"00-" + TRACE.encode() + b"-" + b"0" * 16 + b"-01",
        b"x" * 10_000,
    ],
)
def test_a_traceparent_that_is_none_is_no_trace(value: bytes) -> None:
    context = incoming_context([(b"traceparent", value)])
    assert not trace.get_current_span(context).get_span_context().is_valid


def test_a_request_without_trace_headers_costs_no_context() -> None:
    assert incoming_context([(b"host", b"a"), (b"accept", b"*/*")]) is None


def test_the_span_of_a_host_is_the_parent_rather_than_the_headers_it_has_read() -> None:
    token = attach(incoming_context([(b"traceparent", TRACEPARENT.encode())]) or {})  # type: ignore[arg-type]
    try:
        assert incoming_context([(b"traceparent", TRACEPARENT.replace("b7", "c8").encode())]) is None
    finally:
        detach(token)


@pytest.mark.anyio
async def test_the_hook_adds_the_context_to_a_request() -> None:
    context = incoming_context([(b"traceparent", TRACEPARENT.encode())])
    assert context is not None
    token = attach(context)
    try:
        request = httpx2.Request("POST", "http://model/v1", headers={"traceparent": "stale"})
        await send_trace_context(request)
    finally:
        detach(token)
    assert request.headers["traceparent"] == TRACEPARENT


def test_what_is_not_to_be_traced_stays_in_its_trace_and_says_that_it_is_not_recorded() -> None:
    context = incoming_context([(b"traceparent", TRACEPARENT.encode())])
    assert context is not None
    token = attach(context)
    try:
        with untraced():
            assert outgoing_headers()["traceparent"] == f"00-{TRACE}-{SPAN}-00"
        assert outgoing_headers()["traceparent"] == TRACEPARENT
    finally:
        detach(token)
    with untraced():
        assert outgoing_headers()["traceparent"].endswith("-00")


def test_a_line_outside_of_a_trace_has_empty_ids() -> None:
    record = logging.LogRecord("any", logging.INFO, __file__, 1, "said", None, None)
    assert TraceContextFilter().filter(record)
    assert (vars(record)["trace_id"], vars(record)["span_id"]) == ("", "")
