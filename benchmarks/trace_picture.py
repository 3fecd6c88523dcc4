"""Draws one trace, as a collector got it: a question that goes through two agents, with a tool, streamed.

    python -m benchmarks.trace_picture [--output benchmarks/trace.svg]

Two `pais run` processes, one the model endpoint of the other, export to a collector in this process. The model is
scripted, and takes as long as a small one would.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from html import escape
from pathlib import Path

import httpx2

from tests.support.asgi import chat
from tests.support.endpoint import ModelCall, endpoint_in_thread
from tests.support.otlp import Collector, Span, collecting
from tests.support.processes import pais_run

__all__ = ["draw", "main"]

_WORKER = '''
import time
from pydantic_ai import Agent

agent = Agent(name="flights")


@agent.tool_plain
def search_flights(to: str) -> str:
    """Look for flights."""
    time.sleep(0.12)
    return f"three flights to {to}"
'''
_FIRST_TOKEN, _TOKEN = 0.15, 0.015
_ANSWER = "There are three flights to Tokyo tomorrow, the first of them at seven."

_WIDTH, _NAMES, _ROW, _TOP = 960, 330, 26, 34
_COLOURS = {"server": "#3b6ea8", "client": "#c47f17", "internal": "#6f8f5f"}


async def _act(call: ModelCall) -> None:
    """Call the tool, then answer, token by token."""
    await asyncio.sleep(_FIRST_TOKEN)
    if call.body["messages"][-1]["role"] != "tool":
        await call.call_tool("search_flights", {"to": "Tokyo"})
        return
    await call.start_stream()
    for word in _ANSWER.split(" "):
        await call.text(f"{word} ")
        await asyncio.sleep(_TOKEN)
    await call.end_stream()


def _record() -> list[Span]:
    with (
        collecting() as collector,
        endpoint_in_thread(_act) as model,
        tempfile.TemporaryDirectory() as folder,
    ):
        worker_file = Path(folder) / "worker.py"
        worker_file.write_text(_WORKER)
        telemetry = {
            "OTEL_ENABLED": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.http_url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "MODEL_NAME": "travel-agent",
        }
        with (
            pais_run(
                str(worker_file),
                env={
                    **telemetry,
                    "AGENT_NAME": "flights",
                    "MODEL_API_URL": model.url,
                    "MODEL_NAME": "a-model",
                },
            ) as worker,
            pais_run(
                env={
                    **telemetry,
                    "AGENT_NAME": "planner",
                    "MODEL_API_URL": worker.url,
                    "MODEL_NAME": "flights",
                },
                cwd=Path(folder),
            ) as planner,
        ):
            for _ in range(3):  # the first requests are those of a cold process
                answer = httpx2.post(
                    f"{planner.url}/v1/chat/completions", json=chat("Plan my trip.", stream=True), timeout=30
                )
                answer.raise_for_status()
            collector.until(lambda found: len(_roots(found)) == 3)
        last = max(_roots(collector), key=lambda span: span.start)
        return [span for span in collector.spans if span.trace_id == last.trace_id]


def _roots(collector: Collector) -> list[Span]:
    return [span for span in collector.spans if not span.parent_id]


def _in_order(spans: list[Span], parent_id: str = "", depth: int = 0) -> Iterator[tuple[int, Span]]:
    for span in sorted((span for span in spans if span.parent_id == parent_id), key=lambda span: span.start):
        yield depth, span
        yield from _in_order(spans, span.span_id, depth + 1)


def draw(spans: list[Span]) -> str:
    """Return an SVG with a bar for each span of one trace, below its parent, from its beginning to its end."""
    rows = list(_in_order(spans))
    began, ended = min(span.start for span in spans), max(span.end for span in spans)
    scale = (_WIDTH - _NAMES - 90) / (ended - began)
    height = _TOP + _ROW * len(rows) + 34
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
            'font-family="ui-sans-serif, system-ui, sans-serif" font-size="13">'
        ),
        "<title>One trace through two agents</title>",
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
    ]
    total = (ended - began) / 1e6
    step = next(step for step in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if total / step <= 8)
    for milliseconds in range(0, int(total) + 1, step):
        x = _NAMES + milliseconds * 1e6 * scale
        lines += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 34}" stroke="#e3e3e3"/>',
            f'<text x="{x:.1f}" y="{_TOP - 14}" fill="#666666" text-anchor="middle" font-size="11">{milliseconds} ms</text>',
        ]
    for number, (depth, span) in enumerate(rows):
        y = _TOP + number * _ROW
        x, width = _NAMES + (span.start - began) * scale, max(2.0, (span.end - span.start) * scale)
        took = f"{(span.end - span.start) / 1e6:.1f} ms"
        lines += [
            (
                f'<text x="{14 + depth * 14}" y="{y + 15}" fill="#222222">{escape(span.name)}'
                f'<tspan fill="#888888" dx="7" font-size="11">{escape(span.service)}</tspan></text>'
            ),
            (
                f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 9}" rx="3" '
                f'fill="{_COLOURS.get(span.kind, "#888888")}"/>'
            ),
            f'<text x="{x + width + 6:.1f}" y="{y + 15}" fill="#444444" font-size="11">{took}</text>',
        ]
    for number, (kind, colour) in enumerate(_COLOURS.items()):
        x = _NAMES + number * 90
        lines += [
            f'<rect x="{x}" y="{height - 22}" width="12" height="12" rx="2" fill="{colour}"/>',
            f'<text x="{x + 18}" y="{height - 12}" fill="#444444" font-size="11">{kind}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def main() -> None:
    """Record a trace and draw it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("trace.svg"))
    arguments = parser.parse_args()
    spans = _record()
    arguments.output.write_text(draw(spans))
    print(f"{arguments.output}: {len(spans)} spans")


if __name__ == "__main__":
    main()
