"""Conversations with agents on models that know no tools."""

import json
from typing import Any

import anyio
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta


class City(BaseModel):
    """An output."""

    name: str
    people: int


def call(tool: str, **arguments: Any) -> str:
    """Return what a model says to call a tool."""
    return json.dumps({"tool_calls": [{"name": tool, "arguments": arguments}]})


async def run(agent: Agent[None, Any], prompt: str, *, stream: bool) -> tuple[Any, str, list[ModelMessage]]:
    """Return the output, all text that a client would have seen, and the messages."""
    with anyio.fail_after(20):
        if not stream:
            result = await agent.run(prompt)
            return result.output, "", result.all_messages()
        seen = ""
        async with agent.run_stream_events(prompt) as events:
            final = None
            async for event in events:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    seen += event.part.content
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    seen += event.delta.content_delta
                elif event.event_kind == "agent_run_result":
                    final = event.result
        assert final is not None
        return final.output, seen, final.all_messages()
