"""JSON schemas of older drafts, as clients still send them, in the words of the one that is spoken here (2020-12).

The helpers of the official JavaScript client write draft 7 (`definitions`), and for some schemas `nullable`, a word of
OpenAPI 3.0 that the OpenAI API takes as well.
"""

from collections.abc import Mapping
from typing import Any

from pais_lite.agent.json_schema import LIST_KEYWORDS, MAPPING_KEYWORDS, SCHEMA_KEYWORDS

__all__ = ["modernized"]

_OLD, _NEW = "#/definitions/", "#/$defs/"


def modernized(schema: object) -> object:
    """Return a schema in the words of 2020-12, as far as it is one; what is none is for others to find out."""
    if not isinstance(schema, Mapping) or "definitions" not in schema or "$defs" in schema:
        return _renewed(schema, moved=False)
    others = {name: value for name, value in schema.items() if name not in ("definitions", "$schema")}
    return _renewed({**others, "$defs": schema["definitions"]}, moved=True)


def _renewed(schema: object, *, moved: bool) -> object:
    """Return a schema with all that is in it; `moved` says that the definitions have another place now."""
    if not isinstance(schema, Mapping):
        return schema
    renewed: dict[str, Any] = {}
    for name, value in schema.items():
        renewed[name] = value
        if name in SCHEMA_KEYWORDS:
            renewed[name] = _renewed(value, moved=moved)
        elif name in LIST_KEYWORDS and isinstance(value, list):
            renewed[name] = [_renewed(one, moved=moved) for one in value]
        elif name in MAPPING_KEYWORDS and isinstance(value, Mapping):
            renewed[name] = {below: _renewed(one, moved=moved) for below, one in value.items()}
        elif name == "$ref" and moved and isinstance(value, str) and value.startswith(_OLD):
            renewed[name] = _NEW + value.removeprefix(_OLD)
    return _or_null(renewed) if renewed.pop("nullable", None) is True else renewed


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that takes null besides what it takes."""
    kinds = schema.get("type")
    if kinds is None:
        return {"anyOf": [schema, {"type": "null"}]}
    schema["type"] = [*(kinds if isinstance(kinds, list) else [kinds]), "null"]
    if isinstance(values := schema.get("enum"), list):
        schema["enum"] = [*values, None]
    return schema
