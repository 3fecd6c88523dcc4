"""The span, the metrics and the line of one run, seen from the exporters' side."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic_ai import Agent as PydanticAgent

from pais_lite import AgentServer, LocalMemory, Settings
from pais_lite.agent import Agent
from pais_lite.errors import ModelUnavailable
from pais_lite.telemetry import Telemetry
from tests.support.asgi import ask, chat, exchange, make_scope
from tests.support.serving import mock_agents
from tests.support.sockets import until

pytestmark = pytest.mark.anyio


@dataclass
class Seen:
    """What the exporters were given."""

    traces: TracerProvider
    spans: InMemorySpanExporter
    reader: InMemoryMetricReader
    telemetry: Telemetry

    @property
    def span(self) -> ReadableSpan:
        (span,) = self.spans.get_finished_spans()
        return span

    def attributes(self) -> dict[str, Any]:
        return dict(self.span.attributes or {})

    def points(self) -> dict[str, tuple[str, Any]]:
        """Return the unit and the one data point of each metric."""
        data = self.reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data and data.resource_metrics else ()
        found: dict[str, tuple[str, Any]] = {}
        for metric in metrics:
            (point,) = metric.data.data_points
            found[metric.name] = (metric.unit or "", point)
        return found


@pytest.fixture
def seen() -> Iterator[Seen]:
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces, measurements = (
        TracerProvider(shutdown_on_exit=False),
        MeterProvider([reader], shutdown_on_exit=False),
    )
    traces.add_span_processor(SimpleSpanProcessor(spans))
    yield Seen(traces, spans, reader, Telemetry(traces, measurements))
    traces.shutdown()
    measurements.shutdown()


def serving(
    seen: Seen, agent: PydanticAgent[Any, Any] | None = None, *answers: Any, **fields: Any
) -> AgentServer:
    settings = Settings.load(
        {}, env_file=None, debug_mock_responses=list(answers or ("Hello there!",)), **fields
    )
    served = Agent.serving(agent or PydanticAgent(), name="clerk", memory=LocalMemory(), settings=settings)
    return AgentServer(served, settings, seen.telemetry)


def working_until(may_end: anyio.Event) -> PydanticAgent[Any, Any]:
    agent = PydanticAgent[Any, Any]()

    @agent.tool_plain
    async def work() -> str:
        await may_end.wait()
        return "done"

    return agent


async def test_a_run_is_described_by_the_conventions(seen: Seen) -> None:
    headers = {"user-agent": "curl/8", "x-session-id": "s"}
    answer = await ask(serving(seen), "POST", "/v1/chat/completions", chat(), headers)
    assert answer.status == 200
    assert (seen.span.name, seen.span.kind) == ("server-run", SpanKind.SERVER)
    assert seen.span.status.status_code is StatusCode.UNSET
    usage = answer.json()["usage"]
    assert seen.attributes() == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "pais_lite",
        "gen_ai.agent.name": "clerk",
        "gen_ai.conversation.id": "s",
        "gen_ai.request.model": "agent",
        "gen_ai.request.stream": False,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/v1/chat/completions",
        "network.protocol.version": "1.1",
        "server.address": "testserver",
        "server.port": 80,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "user_agent.original": "curl/8",
    }


async def test_a_stream_is_measured_in_the_units_and_buckets_of_the_conventions(seen: Seen) -> None:
    await ask(serving(seen), "POST", "/v1/chat/completions", chat(stream=True))
    points = seen.points()
    assert {name: unit for name, (unit, _) in points.items()} == {
        "gen_ai.server.request.duration": "s",
        "gen_ai.server.time_to_first_token": "s",
        "gen_ai.server.time_per_output_token": "s",
        "http.server.active_requests": "{request}",
    }
    duration = points["gen_ai.server.request.duration"][1]
    assert duration.explicit_bounds == (
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    )  # fmt: skip
    assert points["gen_ai.server.time_to_first_token"][1].explicit_bounds[:3] == (0.001, 0.005, 0.01)
    assert points["gen_ai.server.time_per_output_token"][1].explicit_bounds[-1] == 2.5
    first = points["gen_ai.server.time_to_first_token"][1].sum
    each = points["gen_ai.server.time_per_output_token"][1].sum
    assert 0 < first < duration.sum
    tokens = seen.attributes()["gen_ai.usage.output_tokens"]
    assert first + each * (tokens - 1) == pytest.approx(duration.sum)
    assert duration.attributes == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "pais_lite",
        "gen_ai.request.model": "clerk",
        "gen_ai.agent.name": "clerk",
        "server.address": "testserver",
        "server.port": 80,
    }


async def test_what_a_client_calls_the_model_makes_no_new_series(seen: Seen) -> None:
    server = serving(seen)
    for number in range(3):
        await ask(server, "POST", "/v1/chat/completions", {**chat(), "model": f"model-{number}"})
    assert seen.points()["gen_ai.server.request.duration"][1].count == 3


async def test_a_run_that_fails_is_an_error(seen: Seen) -> None:
    agent = PydanticAgent[Any, Any]()

    @agent.tool_plain
    def explode() -> str:
        raise ModelUnavailable("the endpoint answered with status 529", code="529")

    calls = {"tool_calls": [{"name": "explode", "arguments": {}}]}
    answer = await ask(serving(seen, agent, calls), "POST", "/v1/chat/completions", chat())
    assert answer.status == 502
    assert seen.span.status.status_code is StatusCode.ERROR
    assert seen.span.status.description == "the endpoint answered with status 529"
    assert [event.name for event in seen.span.events] == ["exception"]
    # A kind, not one of any number of codes that endpoints may send.
    assert seen.attributes()["error.type"] == "model_unavailable"
    assert seen.attributes()["http.response.status_code"] == 502
    points = seen.points()
    assert points["gen_ai.server.request.duration"][1].attributes["error.type"] == "model_unavailable"
    assert "gen_ai.server.time_to_first_token" not in points


async def test_a_stream_that_fails_after_its_headers_is_an_error_all_the_same(seen: Seen) -> None:
    agent = PydanticAgent[Any, Any]()

    @agent.tool_plain
    def explode() -> str:
        raise ValueError("secret")

    calls = {"content": "Let me look.", "tool_calls": [{"name": "explode", "arguments": {}}]}
    answer = await ask(serving(seen, agent, calls), "POST", "/v1/chat/completions", chat(stream=True))
    assert answer.status == 200
    assert seen.span.status.status_code is StatusCode.ERROR
    assert "secret" not in str(seen.span.status.description)
    assert seen.attributes()["error.type"] == "run_failed"


async def test_a_bug_that_keeps_a_run_from_its_start_is_an_error_with_the_status_to_come(
    seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenMemory(LocalMemory):
        def for_owner(self, owner: str) -> LocalMemory:
            raise ZeroDivisionError

    settings = Settings.load({}, env_file=None, debug_mock_responses=["hi"])
    served = Agent.serving(PydanticAgent(), name="clerk", memory=BrokenMemory(), settings=settings)
    server = AgentServer(served, settings, seen.telemetry)
    assert (await ask(server, "POST", "/v1/chat/completions", chat())).status == 500
    assert seen.attributes()["http.response.status_code"] == 500
    assert seen.attributes()["error.type"] == "ZeroDivisionError"
    assert seen.span.status.status_code is StatusCode.ERROR
    assert [record.name for record in caplog.records] == ["pais_lite.server"]


@pytest.mark.parametrize("policy", ["cancel", "continue"])
async def test_a_client_that_leaves_is_no_error(
    seen: Seen, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pais_lite.access")
    agent = PydanticAgent[Any, Any]()
    working, may_end = anyio.Event(), anyio.Event()

    @agent.tool_plain
    async def work() -> str:
        working.set()
        await may_end.wait()
        return "done"

    server = serving(
        seen, agent, {"tool_calls": [{"name": "work", "arguments": {}}]}, "Done.", on_disconnect=policy
    )
    scope = make_scope("POST", "/v1/chat/completions", {"content-type": "application/json"})
    with anyio.fail_after(10):
        async with exchange(server, scope) as talk:
            talk.send_body(b'{"stream": true, "messages": [{"role": "user", "content": "hi"}]}')
            await working.wait()
            talk.disconnect()
            if policy == "continue":
                await anyio.wait_all_tasks_blocked()
                assert not seen.spans.get_finished_spans(), "the run goes on, and so does its span"
                may_end.set()
            await talk.ended.wait()
    assert seen.span.status.status_code is StatusCode.UNSET
    assert "error.type" not in seen.attributes()
    assert not seen.span.events
    assert seen.points()["gen_ai.server.request.duration"][1].attributes.get("error.type") is None
    assert caplog.messages[-1].endswith(", client left")


async def test_a_span_lasts_as_long_as_its_stream(seen: Seen) -> None:
    may_end = anyio.Event()
    agent = working_until(may_end)
    call = {"content": "Let me look.", "tool_calls": [{"name": "work", "arguments": {}}]}
    server = serving(seen, agent, call, "Done.")
    scope = make_scope("POST", "/v1/chat/completions", {"content-type": "application/json"})
    with anyio.fail_after(10):
        async with exchange(server, scope) as talk:
            talk.send_body(b'{"stream": true, "messages": [{"role": "user", "content": "hi"}]}')
            await talk.until('"started"')
            assert not seen.spans.get_finished_spans()
            active = seen.points()["http.server.active_requests"][1]
            assert (active.value, active.attributes) == (
                1,
                {"http.request.method": "POST", "url.scheme": "http"},
            )
            may_end.set()
            await talk.ended.wait()
    assert seen.span.name == "server-run"
    assert seen.points()["http.server.active_requests"][1].value == 0


async def test_a_span_lasts_as_long_as_a_run_in_the_background(seen: Seen) -> None:
    may_end = anyio.Event()
    agent = working_until(may_end)
    server = serving(seen, agent, {"tool_calls": [{"name": "work", "arguments": {}}]}, "Done.")
    scope = make_scope("POST", "/v1/responses", {"content-type": "application/json"})
    with anyio.fail_after(10):
        async with exchange(server, scope) as talk:
            talk.send_body(b'{"background": true, "input": "hi"}')
            await talk.ended.wait()
            assert talk.answer.json()["status"] == "queued"
            await anyio.wait_all_tasks_blocked()
            assert not seen.spans.get_finished_spans()
            may_end.set()
            await until(seen.spans.get_finished_spans)
    attributes = seen.attributes()
    assert attributes["http.route"] == "/v1/responses"
    assert attributes["gen_ai.usage.output_tokens"] > 0
    assert seen.span.status.status_code is not StatusCode.ERROR


async def test_the_span_of_a_host_that_has_read_the_headers_is_the_parent(seen: Seen) -> None:
    server = serving(seen)
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with seen.traces.get_tracer("host").start_as_current_span("host") as host:
        await ask(server, "POST", "/v1/chat/completions", chat(), headers)
    run, _ = seen.spans.get_finished_spans()
    assert run.name == "server-run"
    assert run.parent == host.get_span_context()


async def test_a_parent_of_another_process_comes_with_the_headers(seen: Seen) -> None:
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    await ask(serving(seen), "POST", "/v1/chat/completions", chat(), headers)
    assert seen.span.parent is not None
    assert f"{seen.span.parent.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{seen.span.parent.span_id:016x}" == "b7ad6b7169203331"


async def test_probes_refusals_and_the_tools_of_the_card_are_no_runs(seen: Seen) -> None:
    server = serving(seen)
    PydanticAgent.instrument_all()
    try:
        for path in ("/health", "/ready", "/tools", "/v1/models"):
            assert (await ask(server, "GET", path)).status == 200
    finally:
        PydanticAgent.instrument_all(False)
    assert (await ask(server, "POST", "/v1/chat/completions", {"messages": []})).status == 400
    assert not seen.spans.get_finished_spans()


async def test_events_in_memory_name_the_trace_and_the_span(seen: Seen) -> None:
    server = serving(seen)
    await ask(server, "POST", "/v1/chat/completions", chat(), {"x-session-id": "s"})
    events = (await ask(server, "GET", "/memory/events", query="session_id=s")).json()["events"]
    assert [event["event_type"] for event in events] == ["user_message", "agent_response"]
    context = seen.span.get_span_context()
    assert context is not None
    for event in events:
        assert event["metadata"] == {
            "trace_id": f"{context.trace_id:032x}",
            "span_id": f"{context.span_id:016x}",
        }


_TASK = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "SendMessage",
    "params": {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "hi"}]}},
}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**chat(), "model": "writer"}),
        ("/v1/responses", {"input": "hi", "model": "writer"}),
        ("/", _TASK),
    ],
)
@pytest.mark.parametrize("base", ["", "/agents/writer"])
async def test_the_route_is_the_one_that_matched_also_of_one_agent_of_several(
    seen: Seen, base: str, path: str, body: dict[str, Any]
) -> None:
    server = mock_agents({"researcher": ["Found."], "writer": ["Written."]}, telemetry=seen.telemetry)
    answer = await ask(server, "POST", base + path, body, {"a2a-version": "1.0"})
    assert answer.status == 200
    assert seen.attributes()["http.route"] == base + path
    assert seen.attributes()["url.path"] == base + path
