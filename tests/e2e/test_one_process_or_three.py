"""Three agents in one process and in three: whoever asks them, and whoever looks at a trace, sees the same."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.agents import CHAT, delegate, events, knows, progress
from tests.support.asgi import Answer, chat
from tests.support.clients import http_client
from tests.support.otlp import Collector, Span, collecting
from tests.support.ports import free_port
from tests.support.processes import pais_run

pytestmark = pytest.mark.anyio

NAMES = ("orchestrator", "researcher", "writer")
CALLER = "b7ad6b7169203331"
SCRIPTS: dict[str, list[Any]] = {
    "orchestrator": [delegate("researcher", "find a line", content="One moment. "), "Here it is."],
    "researcher": [delegate("writer", "write a line", content="Let me ask. "), "The line is written."],
    "writer": ["Rivers flow, we know."],
}
TELEMETRY = {
    "OTEL_ENABLED": "true",
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
}


def environment(collector: Collector) -> dict[str, str]:
    return {**TELEMETRY, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url}


async def seen_by_all(
    client: httpx2.AsyncClient, urls: Mapping[str, str], collector: Collector, trace: str
) -> dict[str, Any]:
    """Ask the orchestrator, and return all that can be seen of it from outside."""
    await knows(client, urls["orchestrator"], "researcher")
    await knows(client, urls["researcher"], "writer")
    tools = {name: await shown_tools(client, url) for name, url in urls.items()}
    headers = {"x-session-id": "s", "traceparent": f"00-{trace}-{CALLER}-01"}
    body = chat("A line about rivers!", stream=True, stream_options={"include_usage": True})
    found = await client.post(
        urls["orchestrator"] + CHAT, json={**body, "model": "orchestrator"}, headers=headers
    )
    answer = Answer(found.status_code, dict(found.headers), found.content)
    collector.until(lambda all_: len(served(all_, trace)) == len(NAMES))
    return {
        "status": answer.status,
        "text": answer.text(),
        "usage": [chunk["usage"] for chunk in answer.chunks() if chunk.get("usage")],
        "progress": joined(progress(answer)),
        "memory": {name: await events(client, url) for name, url in urls.items()},
        "tools": tools,
        "trace": tree([span for span in collector.spans if span.trace_id == trace], CALLER),
        "failed": [span.name for span in collector.spans if span.failed],
    }


async def shown_tools(client: httpx2.AsyncClient, url: str) -> list[tuple[str, str]]:
    """Return names and descriptions, without the skills that others had when they were looked up."""
    tools = (await client.get(f"{url}/tools")).json()["tools"]
    return [(tool["function"]["name"], tool["function"]["description"].partition("\n")[0]) for tool in tools]


def served(collector: Collector, trace: str) -> list[Span]:
    return [span for span in collector.spans if (span.name, span.trace_id) == ("server-run", trace)]


def joined(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return progress reports without their times, and with the pieces of one text as one."""
    whole: list[dict[str, Any]] = []
    for report in reports:
        same = {name: value for name, value in report.items() if name not in ("duration_ms", "delta")}
        last = whole[-1] if whole else {}
        if "delta" in report and {**last, "delta": ""} == {**same, "delta": ""}:
            last["delta"] += report["delta"]
        else:
            whole.append({**same, **({"delta": report["delta"]} if "delta" in report else {})})
    return whole


def tree(spans: list[Span], parent_id: str, depth: int = 0) -> list[str]:
    """Return one line for each span below a parent, in order of time, indented by generation."""
    lines: list[str] = []
    for span in sorted((span for span in spans if span.parent_id == parent_id), key=lambda span: span.start):
        agent = span.attributes.get("gen_ai.agent.name", "")
        lines += [f"{'  ' * depth}{span.name} ({span.kind}) {agent}", *tree(spans, span.span_id, depth + 1)]
    return lines


async def test_they_look_the_same_from_outside(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(
            f"from pydantic_ai import Agent\nagent = Agent(name='{name}', description='The {name}.')\n"
        )
    files = {name: f"{name}.py" for name in NAMES}
    together = {f"{name.upper()}__DEBUG_MOCK_RESPONSES": json.dumps(says) for name, says in SCRIPTS.items()}
    together |= {"ORCHESTRATOR__PEER_AGENTS": "researcher", "RESEARCHER__PEER_AGENTS": "writer"}
    ports = {name: free_port() for name in NAMES}
    with collecting() as collector, ExitStack() as stack:
        telemetry = environment(collector)
        runs = [pais_run(*files.values(), env={**telemetry, **together}, cwd=tmp_path)]
        for name, known in (("orchestrator", "researcher"), ("researcher", "writer"), ("writer", None)):
            own = {"AGENT_NAME": name, "DEBUG_MOCK_RESPONSES": json.dumps(SCRIPTS[name])}
            if known is not None:
                own["AGENT_SUB_AGENTS"] = f"{known}:http://127.0.0.1:{ports[known]}"
            port = ("--port", str(ports[name]))
            runs.append(pais_run(files[name], *port, env={**telemetry, **own}, cwd=tmp_path))
        with ThreadPoolExecutor(2) as pool:
            one, *_ = pool.map(stack.enter_context, runs)
        async with http_client() as client:
            urls = {name: f"{one.url}/agents/{name}" for name in NAMES}
            in_one = await seen_by_all(client, urls, collector, "1" * 32)
            urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
            in_three = await seen_by_all(client, urls, collector, "3" * 32)
    assert in_one == in_three
    assert in_one["text"] == "One moment. Here it is."
    assert in_one["failed"] == []
    assert in_one["trace"] == [
        "server-run (server) orchestrator",
        "  invoke_agent orchestrator (internal) orchestrator",
        "    chat mock (client) orchestrator",
        "    execute_tool delegate_to_researcher (internal) orchestrator",
        "      delegate.researcher (client) researcher",
        "        server-run (server) researcher",
        "          invoke_agent researcher (internal) researcher",
        "            chat mock (client) researcher",
        "            execute_tool delegate_to_writer (internal) researcher",
        "              delegate.writer (client) writer",
        "                server-run (server) writer",
        "                  invoke_agent writer (internal) writer",
        "                    chat mock (client) writer",
        "            chat mock (client) researcher",
        "    chat mock (client) orchestrator",
    ]
