"""Fifty streams at once: what belongs to one request never lands in the trace of another."""

import asyncio
from collections import Counter

import httpx2
import pytest

from tests.support.asgi import chat
from tests.support.endpoint import Endpoint, ModelCall
from tests.support.otlp import Collector
from tests.telemetry.conftest import WORKER, Start

pytestmark = pytest.mark.anyio

STREAMS = 50


def trace_of(number: int) -> str:
    return f"{number + 1:032x}"


async def test_no_span_of_one_request_lands_in_the_trace_of_another(
    collector: Collector, model: Endpoint, start: Start
) -> None:
    everybody = asyncio.Barrier(STREAMS)

    async def take_turns(call: ModelCall) -> None:
        """Call the tool with the word of this request, then tell it letter by letter, all requests interleaved."""
        last = call.body["messages"][-1]
        if last["role"] != "tool":
            await everybody.wait()
            await call.call_tool("look_up", {"word": last["content"]})
            return
        word = last["content"].split(" ")[0]
        await call.start_stream()
        for letter in word:
            await call.text(letter)
            await asyncio.sleep(0)
        await everybody.wait()
        await call.end_stream()

    model.script = take_turns
    with start(
        "worker", model.url, WORKER, OTEL_ENABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT=collector.http_url
    ) as server:
        async with httpx2.AsyncClient(
            base_url=server.url, timeout=60, limits=httpx2.Limits(max_connections=STREAMS)
        ) as client:

            async def stream(number: int) -> None:
                answer = await client.post(
                    "/v1/chat/completions",
                    json=chat(f"word{number}", stream=True),
                    headers={
                        "traceparent": f"00-{trace_of(number)}-00000000000000ff-01",
                        "x-session-id": f"session-{number}",
                    },
                )
                assert answer.status_code == 200

            async with asyncio.timeout(90):
                await asyncio.gather(*(stream(number) for number in range(STREAMS)))
        assert await asyncio.to_thread(server.stop) == 0

    assert Counter(span.trace_id for span in collector.spans) == {trace_of(n): 5 for n in range(STREAMS)}
    for number in range(STREAMS):
        word, session = f"word{number}", f"session-{number}"
        spans = {span.span_id: span for span in collector.spans if span.trace_id == trace_of(number)}
        root = next(span for span in spans.values() if span.parent_id == "00000000000000ff")
        assert root.attributes["gen_ai.conversation.id"] == session
        assert all(span is root or span.parent_id in spans for span in spans.values())
        (tool,) = (span for span in spans.values() if span.name == "execute_tool look_up")
        assert f'"{word}"' in tool.attributes["gen_ai.tool.call.arguments"]
        for span in spans.values():
            told = str(span.attributes.get("gen_ai.input.messages", word))
            assert f"{word} " in told or f'{word}"' in told or told == word
        bodies = [line.body for line in collector.logs if line.trace_id == trace_of(number)]
        assert f"looking up {word}" in bodies
        assert len([body for body in bodies if f"session {session}," in body]) == 1
