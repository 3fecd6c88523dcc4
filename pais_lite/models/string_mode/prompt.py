"""How a model that cannot call functions is told what it can call, and in which words to do it."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai.tools import ToolDefinition
from pydantic_core import to_json

from pais_lite.models.string_mode.calls import TEXT_KEY

__all__ = ["instructions"]

_RESULTS = "What a tool returned comes in the next message; use it, and call further tools if you need them."


def instructions(tools: Sequence[ToolDefinition], *, text: bool, enveloped: bool, several: bool) -> str:
    """Return the part of the system prompt that describes `tools`.

    `text` says whether an answer without a call is allowed, `enveloped` whether it has to be JSON then, and `several`
    whether more than one tool may be called at once.
    """
    lines = ["# Tools", "", "You can call these tools:", ""]
    lines += [_described(tool) for tool in tools]
    calls = "one object for each call" if several else "with exactly one call"
    lines += [
        "",
        "To call tools, answer with this JSON and nothing else:",
        '{"tool_calls": [{"name": "<name of the tool>", "arguments": {<its parameters>}}]}',
        f"The list holds {calls}. {_RESULTS}",
    ]
    if not text:
        lines.append("Always answer with a call: no answer is possible without one.")
    elif enveloped:
        lines += [
            "If no tool is needed, answer with your text in this JSON:",
            f'{{"{TEXT_KEY}": "<your answer>"}}',
        ]
    else:
        lines.append("If no tool is needed, answer in plain text, without any JSON.")
    return "\n".join(lines)


def _described(tool: ToolDefinition) -> str:
    described = f"- {tool.name}"
    if tool.description:
        described += f": {' '.join(tool.description.split())}"
    return f"{described}\n  parameters: {to_json(_shown(tool.parameters_json_schema)).decode()}"


def _shown(schema: Any) -> Any:
    """Return a parameter schema without the titles that Pydantic makes of names, which say nothing new."""
    if isinstance(schema, dict):
        return {
            key: _shown(value)
            for key, value in schema.items()
            if key != "title" or not isinstance(value, str)
        }
    if isinstance(schema, list):
        return [_shown(item) for item in schema]
    return schema
