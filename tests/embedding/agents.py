"""Two agents for a host. What they say is a mock's; the second takes its time."""

import asyncio

from pydantic_ai import Agent

from pais_lite import serve

_slow = Agent(name="second")


@_slow.tool_plain
async def rest() -> str:
    """Rest for a while."""
    await asyncio.sleep(0.4)
    return "rested"


first = serve(Agent(name="first"), debug_mock_responses=["I am the first."])
second = serve(
    _slow, debug_mock_responses=[{"tool_calls": [{"name": "rest", "arguments": {}}]}, "I am the second."]
)
