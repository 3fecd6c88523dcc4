"""The parameters of a tool, taken apart into single values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic_ai.tools import ToolDefinition

from pais_lite.models.string_mode.small.words import words

__all__ = ["Parameter", "parameters_of"]

Kind = Literal["enum", "boolean", "number", "integer", "string", "list", "other"]

_SIMPLE: tuple[Kind, ...] = ("boolean", "number", "integer", "string")
_LISTED = ("string", "integer", "number")
_MAX_DEPTH = 4


@dataclass(frozen=True)
class Parameter:
    """One value that a call takes; `path` leads to it through nested objects."""

    path: tuple[str, ...]
    kind: Kind
    required: bool
    schema: Mapping[str, Any]
    description: str

    @property
    def name(self) -> str:
        """The parameter's own name, in words."""
        return self.path[-1].replace("_", " ")

    @property
    def words(self) -> frozenset[str]:
        """The words of its name."""
        return frozenset(words(self.path[-1]))

    @property
    def all_words(self) -> frozenset[str]:
        """The words of its name and its description."""
        return self.words | frozenset(words(self.description))

    def accepts(self, text: str) -> bool:
        """Whether a string satisfies the parameter's pattern, if it has one that can be tried."""
        pattern = self.schema.get("pattern")
        if not isinstance(pattern, str):
            return True
        try:
            return re.search(pattern, text) is not None
        except re.error:
            return True


def parameters_of(tool: ToolDefinition) -> list[Parameter]:
    """Return the parameters of a tool in the order of its schema, those of nested objects included."""
    root = tool.parameters_json_schema
    return list(_walk(root, root, (), required=True))


def _walk(
    schema: Mapping[str, Any], root: Mapping[str, Any], path: tuple[str, ...], *, required: bool
) -> Iterator[Parameter]:
    needed = schema.get("required", ())
    for name, raw in schema.get("properties", {}).items():
        value, nullable = _resolved(raw, root)
        is_needed = required and name in needed and not nullable
        if value.get("type") == "object" and value.get("properties") and len(path) < _MAX_DEPTH:
            yield from _walk(value, root, (*path, name), required=is_needed)
            continue
        description = str(raw.get("description") or value.get("description") or "")
        yield Parameter((*path, name), _kind(value), is_needed, value, description)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Return the schema behind references and alternatives, and whether null is one of them."""
    nullable = False
    for _ in range(_MAX_DEPTH):
        if isinstance(reference := schema.get("$ref"), str):
            node: Any = root
            for step in reference.removeprefix("#").split("/")[1:]:
                node = node.get(step, {}) if isinstance(node, Mapping) else {}
            schema = {**node, **{key: value for key, value in schema.items() if key != "$ref"}}
        elif options := schema.get("anyOf") or schema.get("oneOf"):
            real = [option for option in options if option.get("type") != "null"]
            nullable = nullable or len(real) < len(options)
            if not real:
                break
            schema = real[0]
        elif isinstance(kinds := schema.get("type"), list):
            real = [kind for kind in kinds if kind != "null"]
            nullable = nullable or len(real) < len(kinds)
            schema = {**schema, "type": real[0] if real else "null"}
        else:
            break
    return schema, nullable


def _kind(schema: Mapping[str, Any]) -> Kind:
    if "enum" in schema or "const" in schema:
        return "enum"
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items", {})
        return "list" if isinstance(items, Mapping) and items.get("type") in _LISTED else "other"
    for simple in _SIMPLE:
        if kind == simple:
            return simple
    return "other"
