"""One line per request, and the trace on every line of a run, as an operator reads them."""

import json
import re
from typing import Any

import httpx2

from tests.support.asgi import chat
from tests.support.endpoint import Endpoint
from tests.telemetry.conftest import WORKER, Start, use_the_tool

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def ask_for(url: str, **headers: str) -> httpx2.Response:
    return httpx2.post(f"{url}/v1/chat/completions", json=chat(stream=True), headers=headers, timeout=30)


def lines_of(output: str, logger: str) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [entry for entry in entries if entry["logger"] == logger]


def test_each_request_leaves_one_line_of_json(model: Endpoint, start: Start) -> None:
    with start("clerk", model.url, AGENT_ACCESS_LOG="true", LOG_FORMAT="json") as server:
        ask_for(server.url, **{"x-session-id": "s"})
        httpx2.get(f"{server.url}/health")
        httpx2.get(f"{server.url}/no%0Awhere")
        httpx2.post(f"{server.url}/v1/chat/completions", json={"messages": []})
        assert server.stop() == 0
        lines = lines_of(server.output(), "pais_lite.access")
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("POST", "/v1/chat/completions", 200),
        ("GET", "/health", 200),
        ("GET", r"'/no\nwhere'", 404),
        ("POST", "/v1/chat/completions", 400),
    ]
    run = lines[0]
    assert (run["input_tokens"], run["output_tokens"]) == (11, 7)
    assert (run["session_id"], run["outcome"], run["level"]) == ("s", "stop", "INFO")
    assert run["duration_ms"] > 0
    assert "trace_id" not in run


def test_text_lines_say_the_same_and_end_with_the_trace(model: Endpoint, start: Start) -> None:
    with start("clerk", model.url, AGENT_ACCESS_LOG="true") as server:
        ask_for(server.url, **{"x-session-id": "s", "traceparent": TRACEPARENT})
        assert server.stop() == 0
        (line,) = [line for line in server.output().splitlines() if "pais_lite.access" in line]
    assert re.search(
        r"INFO pais_lite\.access: POST /v1/chat/completions 200 in [\d.]+ ms, 11 \+ 7 tokens, session s, stop "
        rf"trace_id={TRACE} span_id=b7ad6b7169203331$",
        line,
    )


def test_lines_of_a_users_own_tools_name_the_trace(model: Endpoint, start: Start) -> None:
    model.script = use_the_tool
    with start("worker", model.url, WORKER, LOG_FORMAT="json") as server:
        ask_for(server.url, traceparent=TRACEPARENT)
        assert server.stop() == 0
        output = server.output()
    (line,) = lines_of(output, "users.own.tools")
    assert (line["message"], line["trace_id"]) == ("looking up house", TRACE)
    assert not lines_of(output, "pais_lite.access"), "nobody asked for an access log"


def test_with_telemetry_each_run_leaves_its_line_and_nothing_else_does(model: Endpoint, start: Start) -> None:
    none = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    with start("clerk", model.url, OTEL_ENABLED="true", LOG_FORMAT="json", **none) as server:
        ask_for(server.url, traceparent=TRACEPARENT)
        httpx2.get(f"{server.url}/health")
        assert server.stop() == 0
        (line,) = lines_of(server.output(), "pais_lite.access")
    assert (line["route"], line["trace_id"]) == ("/v1/chat/completions", TRACE)


def test_a_run_that_failed_says_how(model: Endpoint, start: Start) -> None:
    async def refuse(call: Any) -> None:
        await call.respond(400, {"error": {"message": "no"}})

    model.script = refuse
    with start("clerk", model.url, AGENT_ACCESS_LOG="true", LOG_FORMAT="json") as server:
        assert ask_for(server.url).status_code == 502
        assert server.stop() == 0
        (line,) = lines_of(server.output(), "pais_lite.access")
    assert (line["status"], line["outcome"]) == (502, "model_unavailable")
