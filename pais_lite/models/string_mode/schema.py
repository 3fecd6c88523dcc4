"""The JSON schema that an endpoint is asked to hold an answer to: calls of the agent's tools, or a text.

Grammars are poorer than JSON schema. References are written out, because each tool brings definitions of its own;
what engines refuse or take for something else (llama.cpp's grammars, xgrammar, outlines) is left out, which only makes
the grammar wider: Pydantic AI validates the arguments against the real schema in any case.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_ai.tools import ToolDefinition

from pais_lite.models.string_mode.calls import TEXT_KEY

__all__ = ["answer_schema", "grammar_schema", "response_format"]

_COPIED = ("enum", "const", "required")
# Repetitions make grammars explode; a longer list or string is left to the validation.
_MAX_REPEAT = 64
_MAX_DEPTH = 12


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `response_format` of the chat-completions protocol for a schema."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema)}}


def answer_schema(tools: Sequence[ToolDefinition], *, text: bool, several: bool) -> dict[str, Any]:
    """Return the schema of `{"tool_calls": [...]}`, or of `{"text": "..."}` too where plain `text` is allowed."""
    entries = [
        _object({"name": {"const": tool.name}, "arguments": grammar_schema(tool.parameters_json_schema)})
        for tool in tools
    ]
    calls: dict[str, Any] = {
        "type": "array",
        "items": entries[0] if len(entries) == 1 else {"anyOf": entries},
        "minItems": 1,
    }
    if not several:
        calls["maxItems"] = 1
    branches = [_object({"tool_calls": calls})]
    if text:
        branches.append(_object({TEXT_KEY: {"type": "string"}}))
    return branches[0] if len(branches) == 1 else {"anyOf": branches}


def grammar_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` without references and without what grammars cannot express."""
    return _Narrowed(schema).of(schema, ())


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


class _Narrowed:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def of(self, schema: Any, path: tuple[str, ...]) -> dict[str, Any]:
        """Return the schema for a grammar; `path` holds the references that lead here, to end at a cycle."""
        if not isinstance(schema, Mapping) or len(path) > _MAX_DEPTH:
            return {}
        if isinstance(reference := schema.get("$ref"), str):
            if reference in path:
                # A recursive type: any JSON, validated afterwards.
                return {}
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return self.of({**self._resolved(reference), **rest}, (*path, reference))
        for key in ("anyOf", "oneOf"):
            if isinstance(options := schema.get(key), list):
                return {"anyOf": [self.of(option, path) for option in options]}
        if isinstance(parts := schema.get("allOf"), list):
            merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
            for part in parts:
                merged = _merged(merged, part, self._resolved)
            return self.of(merged, path)
        kind = schema.get("type")
        if isinstance(kind, list):
            return {"anyOf": [self.of({**schema, "type": one}, path) for one in kind]}
        narrowed: dict[str, Any] = {key: schema[key] for key in _COPIED if key in schema}
        if kind is not None:
            narrowed["type"] = kind
        if kind == "object" or "properties" in schema:
            self._object(schema, narrowed, path)
        elif kind == "array":
            self._array(schema, narrowed, path)
        elif kind == "integer":
            for bound in ("minimum", "maximum"):
                if isinstance(schema.get(bound), int):
                    narrowed[bound] = schema[bound]
        return narrowed

    def _object(self, schema: Mapping[str, Any], narrowed: dict[str, Any], path: tuple[str, ...]) -> None:
        properties = schema.get("properties")
        narrowed["type"] = "object"
        if isinstance(properties, Mapping) and properties:
            narrowed["properties"] = {name: self.of(value, path) for name, value in properties.items()}
            narrowed["additionalProperties"] = False
        elif isinstance(values := schema.get("additionalProperties"), Mapping):
            narrowed["additionalProperties"] = self.of(values, path)
        elif values is not True:
            narrowed["properties"] = {}
            narrowed["additionalProperties"] = False

    def _array(self, schema: Mapping[str, Any], narrowed: dict[str, Any], path: tuple[str, ...]) -> None:
        if isinstance(items := schema.get("prefixItems"), list):
            narrowed["prefixItems"] = [self.of(item, path) for item in items]
            return
        narrowed["items"] = self.of(schema.get("items"), path)
        for bound in ("minItems", "maxItems"):
            if isinstance(count := schema.get(bound), int) and count <= _MAX_REPEAT:
                narrowed[bound] = count

    def _resolved(self, reference: str) -> Mapping[str, Any]:
        node: Any = self._root
        for step in reference.removeprefix("#").split("/")[1:]:
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        return node if isinstance(node, Mapping) else {}


def _merged(left: dict[str, Any], right: Any, resolved: Any) -> dict[str, Any]:
    if not isinstance(right, Mapping):
        return left
    if isinstance(reference := right.get("$ref"), str):
        right = resolved(reference)
    return {
        **left,
        **right,
        "properties": {**left.get("properties", {}), **right.get("properties", {})},
        "required": [*left.get("required", []), *right.get("required", [])],
    }
