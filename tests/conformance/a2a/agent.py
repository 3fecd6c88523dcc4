"""The agent that the compatibility kits of A2A are run against: the id of a message says what they want to see.

`pais run tests/conformance/a2a/agent.py`. There is nothing in it that other agents could not do: the id of the message
comes by `ctx.metadata`, files and data are outputs, and a tool that needs approval makes a task wait for its client.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from pydantic_ai import Agent, BinaryContent, DocumentUrl, RunContext, ToolOutput
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from pais_lite import AgentDeps

# How long the kit for 0.3 wants a task to go on that it subscribes to again.
LONG = 5.0
HELLO = "Hello from TCK"
TEXTS = {
    "tck-artifact-text": "Generated text content",
    "tck-message-response": "Direct message response",
    "tck-stream-001": "Stream hello from TCK",
    "tck-stream-003": "Stream task lifecycle",
    "tck-stream-ordering-001": "Ordered output",
    "tck-stream-artifact-text": "Streamed text content",
    "tck-stream-artifact-chunked": "chunk-1 |chunk-2",
    "tck-": HELLO,
    "test-resubscribe-message-id": "Still here.",
}
CALLS = {
    "tck-artifact-file-url": ToolCallPart("link", {"name": "output.txt"}),
    "tck-artifact-file": ToolCallPart("file", {"name": "output.txt"}),
    "tck-stream-artifact-file": ToolCallPart("file", {"name": "output.txt"}),
    "tck-artifact-data": ToolCallPart("data", {"key": "value", "count": 42}),
    "tck-input-required": ToolCallPart("ask", {"question": "What next?"}),
}


def message_id(ctx: RunContext[AgentDeps]) -> str:
    """Return the id of the message that is being answered."""
    return str((ctx.metadata or {}).get("a2a", {}).get("message_id", ""))


def how_to_reply(ctx: RunContext[AgentDeps]) -> dict[str, Any]:
    """Return whether the answer is a message, or the result of a task."""
    return {"reply": "message"} if message_id(ctx).startswith("tck-message-response") else {}


def write_file(name: str) -> BinaryContent:
    """Hand over a file."""
    return BinaryContent(b"What is in the file.", media_type="text/plain", identifier=name)


def link_file(name: str) -> DocumentUrl:
    """Hand over the address of a file."""
    return DocumentUrl(f"https://example.com/{name}", media_type="text/plain")


def give_data(key: str, count: int) -> dict[str, Any]:
    """Hand over data."""
    return {"key": key, "count": count}


def _part(asked: str) -> TextPart | ToolCallPart:
    for prefix, call in CALLS.items():
        if asked.startswith(prefix):
            return call
    for prefix, text in TEXTS.items():
        if asked.startswith(prefix):
            return TextPart(text)
    # The kit for 0.3 goes on with whatever task it began.
    return CALLS["tck-input-required"]


async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answer whole."""
    asked = info.instructions or ""
    if asked.startswith("tck-reject-task"):
        return ModelResponse(parts=[], finish_reason="content_filter")
    if asked.startswith("test-resubscribe"):
        await asyncio.sleep(LONG)
    part = _part(asked)
    return ModelResponse(
        parts=[TextPart(part.content.replace("|", "")) if isinstance(part, TextPart) else part]
    )


async def stream(
    messages: list[ModelMessage], info: AgentInfo
) -> AsyncIterator[str | dict[int, DeltaToolCall]]:
    """Answer in pieces."""
    asked = info.instructions or ""
    part = _part(asked)
    if isinstance(part, ToolCallPart):
        yield {0: DeltaToolCall(part.tool_name, part.args_as_json_str())}
        return
    for place, piece in enumerate(part.content.split("|")):
        if place:
            await asyncio.sleep(0.05)
        yield piece
    if asked.startswith("test-resubscribe"):
        await asyncio.sleep(LONG)
        yield " Done."


agent = Agent(
    FunctionModel(answer, stream_function=stream),
    name="tck",
    description="Does what the compatibility kits of A2A want to see.",
    deps_type=AgentDeps,
    output_type=[
        str,
        ToolOutput(write_file, name="file"),
        ToolOutput(link_file, name="link"),
        ToolOutput(give_data, name="data"),
    ],
    instructions=message_id,
    metadata=how_to_reply,
)


@agent.tool_plain(requires_approval=True)
def ask(question: str) -> str:
    """Ask whoever began the task."""
    return f"{question} Nothing."
