"""Conversations with agents on models that know no tools."""

import json
from typing import Any

import anyio
from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.run import AgentRunResult


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
        seen, final = await streamed(agent, prompt)
        return final.output, seen, final.all_messages()


async def streamed(agent: Agent[None, Any], prompt: str) -> tuple[str, AgentRunResult[Any]]:
    """Return all text that a client would have seen of a stream, and the result."""
    seen, final = "", None
    async with agent.run_stream_events(prompt) as events:
        async for event in events:
            if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                seen += event.part.content
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                seen += event.delta.content_delta
            elif event.event_kind == "agent_run_result":
                final = event.result
    assert final is not None
    return seen, final
