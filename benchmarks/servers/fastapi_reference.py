"""What one writes in an afternoon: FastAPI and `agent.run_stream_events`, a server-sent event for each delta."""

import json
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic_ai import Agent, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

_provider = OpenAIProvider(base_url=os.environ["MODEL_API_URL"], api_key="none")
_agent = Agent(OpenAIChatModel("scripted", provider=_provider), instructions="You are a helpful assistant.")
application = FastAPI()


async def _stream(prompt: str) -> AsyncIterator[bytes]:
    async with _agent.run_stream_events(prompt) as events:
        async for event in events:
            if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                text = event.part.content
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                text = event.delta.content_delta
            else:
                continue
            delta = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
            yield b"data: " + json.dumps(delta).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


@application.get("/health")
async def health() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@application.post("/v1/chat/completions", response_model=None)
async def answer(request: Request) -> Response:
    """Answer the last message, as a stream or whole."""
    body = await request.json()
    prompt = body["messages"][-1]["content"]
    if body.get("stream"):
        return StreamingResponse(_stream(prompt), media_type="text/event-stream")
    message = {"role": "assistant", "content": (await _agent.run(prompt)).output}
    return JSONResponse({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
