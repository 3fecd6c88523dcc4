"""Tells tool calls from other JSON, in all the shapes that models have been seen to write them.

The shape that we ask for is `{"tool_calls": [{"name": ..., "arguments": {...}}]}`. Inside that envelope a call counts
whatever its name is, so that Pydantic AI can tell the model about a tool that does not exist. Everything else counts
only when it names a tool that the agent has: JSON is also something that people ask for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from pais_lite.models.string_mode.lenient import loads

__all__ = ["ENVELOPE_KEYS", "HEAD_KEYS", "TEXT_KEY", "Call", "find_calls", "find_cut_off_calls"]

TEXT_KEY = "text"

ENVELOPE_KEYS = ("tool_calls", "tool_call", "toolCalls", "function_call", "function_calls", "calls")
_NAME_KEYS = ("name", "tool", "tool_name", "function", "function_name", "action", "recipient_name")
_ARGUMENT_KEYS = (
    "arguments",
    "args",
    "parameters",
    "params",
    "input",
    "tool_input",
    "action_input",
    "kwargs",
)
_OTHER_KEYS = ("id", "type", "call_id", "tool_call_id", "index")

HEAD_KEYS = frozenset((*ENVELOPE_KEYS, *_NAME_KEYS, *_ARGUMENT_KEYS, *_OTHER_KEYS))
"""The keys that a call may open with, besides the names of the tools."""


@dataclass(frozen=True)
class Call:
    """A call that the model wrote; `arguments` is a string where it was not a whole JSON object."""

    tool: str
    arguments: dict[str, Any] | str


Tools = Mapping[str, Collection[str]]
"""What the agent's tools are called, and the names of their parameters."""


def find_calls(value: Any, tools: Tools) -> list[Call] | None:
    """Return the calls that a JSON value stands for, or None if it stands for none."""
    if isinstance(value, list):
        calls = [call for entry in value if (call := _maybe_call(entry, tools, only_known=True))]
        return calls if calls and len(calls) == len(value) else None
    if not isinstance(value, dict):
        return None
    for key in ENVELOPE_KEYS:
        if key in value:
            entries = value[key] if isinstance(value[key], list) else [value[key]]
            return [call for entry in entries if (call := _maybe_call(entry, tools, only_known=False))]
    if call := _maybe_call(value, tools, only_known=True):
        return [call]
    # {"get_weather": {"city": "Paris"}}
    if value and all(name in tools and isinstance(arguments, dict) for name, arguments in value.items()):
        return [Call(name, arguments) for name, arguments in value.items()]
    return None


def find_cut_off_calls(text: str, tools: Tools) -> list[Call]:
    """Return the calls in JSON that ends inside a value, the last one with arguments that cannot pass for whole.

    Pydantic AI answers such a call as it answers one that a native endpoint cut off: by asking the model again.
    """
    for tail in ('"', '": null', "", " null"):
        try:
            calls = find_calls(loads(f"{text}{tail} "), tools)
        except ValueError:
            continue
        if calls:
            last = calls[-1]
            whole = last.arguments if isinstance(last.arguments, str) else to_json(last.arguments).decode()
            return [*calls[:-1], Call(last.tool, whole.rstrip("}").rstrip('"') or "{")]
    return []


def _maybe_call(value: Any, tools: Tools, *, only_known: bool) -> Call | None:
    if not isinstance(value, dict):
        return None
    function = value.get("function")
    if isinstance(function, dict):
        return _maybe_call(function, tools, only_known=only_known)
    for key in _NAME_KEYS:
        name = value.get(key)
        if isinstance(name, str) and name and (name in tools or not only_known):
            return _call(name, key, value, tools)
    return None


def _call(name: str, name_key: str, value: dict[str, Any], tools: Tools) -> Call | None:
    parameters = tools.get(name, ())
    for key in _ARGUMENT_KEYS:
        if key in value and key not in parameters:
            return Call(name, _arguments(value[key], parameters))
    # {"tool": "get_weather", "city": "Paris"}: the arguments lie beside the name.
    rest = {key: item for key, item in value.items() if key != name_key and key not in _OTHER_KEYS}
    if all(key in parameters for key in rest):
        return Call(name, rest)
    if arguments := next((value[key] for key in _ARGUMENT_KEYS if isinstance(value.get(key), dict)), None):
        return Call(name, arguments)
    return None if name_key == "name" else Call(name, rest)


def _arguments(value: Any, parameters: Collection[str]) -> dict[str, Any] | str:
    if isinstance(value, dict):
        return value
    if value is None:
        return {}
    if isinstance(value, str):
        if not value.strip():
            return {}
        try:
            parsed = loads(value)
        except ValueError:
            parsed = value
        if isinstance(parsed, dict):
            return parsed
    if len(parameters) == 1:
        return {next(iter(parameters)): value}
    return value if isinstance(value, str) else to_json(value).decode()
