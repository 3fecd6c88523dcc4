"""The tools of a client in a chat request: `tools` and `tool_choice`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pais_lite.agent import ClientTool, ToolChoice
from pais_lite.agent.json_schema import UnusableSchema, check_shape
from pais_lite.errors import InvalidRequest

__all__ = ["read_tool_choice", "read_tools"]

# What the OpenAI API takes, and so what its clients can send.
_MAX_TOOLS = 128
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MODES = ("auto", "none", "required")


def read_tools(body: Mapping[str, Any]) -> tuple[ClientTool, ...]:
    """Read `tools`.

    Raises:
        InvalidRequest: it is no list of functions, or two have one name.
    """
    tools = body.get("tools")
    if tools is None:
        return ()
    if not isinstance(tools, list) or len(tools) > _MAX_TOOLS:
        raise _wrong("tools", f"has to be a list of at most {_MAX_TOOLS} tools")
    read = tuple(_read_tool(tool, place) for place, tool in enumerate(tools))
    names = [tool.name for tool in read]
    if twice := sorted(name for name in set(names) if names.count(name) > 1):
        raise _wrong("tools", f"two of them have the name {twice[0]!r}")
    return read


def _read_tool(tool: object, place: int) -> ClientTool:
    match tool:
        case {"type": "function", "function": {"name": str() as name, **others}} if _NAME.fullmatch(name):
            description, parameters = others.get("description"), others.get("parameters")
            strict = others.get("strict")
        case {"type": "function", "function": Mapping()}:
            raise _wrong("tools", "name has to be 1 to 64 letters, digits, _ and -", place)
        case _:
            raise _wrong("tools", "has to be a tool of the type function, with a function", place)
    if not isinstance(description, str | None):
        raise _wrong("tools", "description has to be a string", place)
    if not isinstance(strict, bool | None):
        raise _wrong("tools", "strict has to be true or false", place)
    if parameters is None:
        return ClientTool(name=name, description=description, strict=strict)
    if not isinstance(parameters, Mapping) or parameters.get("type", "object") != "object":
        raise _wrong("tools", "parameters has to be the JSON schema of an object", place)
    try:
        check_shape(parameters, "parameters")
    except UnusableSchema as exc:
        raise _wrong("tools", str(exc), place) from exc
    schema = {"type": "object", "properties": {}, **parameters}
    return ClientTool(name=name, description=description, parameters=schema, strict=strict)


def read_tool_choice(body: Mapping[str, Any], tools: Sequence[ClientTool]) -> ToolChoice:
    """Read `tool_choice`: a mode, one function, or `allowed_tools`, which is some functions and a mode.

    Raises:
        InvalidRequest: it is none of these, or names a tool that is not among `tools`.
    """
    choice = body.get("tool_choice")
    if choice is None:
        return ToolChoice()
    names: list[object] | None = None
    mode: object = choice
    match choice:
        case {"type": "function", "function": {"name": name}}:
            mode, names = "required", [name]
        case {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto" | "required" as mode, "tools": list(listed)},
        }:
            names = [_name_in(entry) for entry in listed]
        case _:
            pass
    if mode not in _MODES:
        raise _wrong("tool_choice", "has to be auto, none, required, or name a function")
    known = {tool.name for tool in tools}
    if names is not None and (
        not names or not all(isinstance(name, str) and name in known for name in names)
    ):
        raise _wrong("tool_choice", "names a function that is not among the tools")
    if mode == "required" and not tools:
        raise _wrong("tool_choice", "can only be required where there are tools")
    return ToolChoice(
        mode=cast("Any", mode), names=None if names is None else tuple(cast("list[str]", names))
    )


def _name_in(entry: object) -> object:
    match entry:
        case {"type": "function", "function": {"name": str() as name}} | {
            "type": "function",
            "name": str() as name,
        }:
            return name
        case _:
            return None


def _wrong(param: str, what: str, place: int | None = None) -> InvalidRequest:
    where = param if place is None else f"{param}[{place}]"
    return InvalidRequest(f"{where}: {what}", param=param)
