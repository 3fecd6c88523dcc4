"""Schemas of older drafts: what becomes of their words, and what is left alone."""

from typing import Any

import pytest

from pais_lite.agent.json_schema import JsonSchema, UnusableSchema
from pais_lite.agent.json_validation import maybe_violation
from pais_lite.agent.older_schemas import modernized
from pais_lite.agent.outputs import check_schema

# As `zodResponseFormat` of the official JavaScript client writes it for an object that comes twice.
LINE: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {
        "a": {"$ref": "#/definitions/line_properties_a"},
        "list": {"type": "array", "items": {"$ref": "#/definitions/line_properties_a"}},
        "label": {"type": "string", "nullable": True},
    },
    "required": ["a", "list", "label"],
    "additionalProperties": False,
    "definitions": {
        "line_properties_a": {
            "type": "object",
            "properties": {"x": {"$ref": "#/definitions/line_properties_a_properties_x"}},
            "required": ["x"],
            "additionalProperties": False,
        },
        "line_properties_a_properties_x": {"type": "number"},
    },
}


def test_definitions_are_found() -> None:
    schema = check_schema(LINE)
    read = JsonSchema(schema)
    assert maybe_violation(read, {"a": {"x": 1}, "list": [{"x": 2}], "label": None}) is None
    assert maybe_violation(read, {"a": {"x": 1}, "list": [{"x": "2"}], "label": None}) == (
        "$.list[0].x: has to be a number"
    )
    assert not {"definitions", "$schema"} & schema.keys()
    assert LINE["properties"]["a"] == {"$ref": "#/definitions/line_properties_a"}


def test_definitions_that_use_themselves_are_refused_by_name() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/definitions/node"}}}
    with pytest.raises(UnusableSchema, match=r"#/\$defs/node is part of itself"):
        check_schema(
            {
                "type": "object",
                "properties": {"n": {"$ref": "#/definitions/node"}},
                "definitions": {"node": node},
            }
        )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string"], "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, {"type": "string"}),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"const": 1, "nullable": True}, {"anyOf": [{"const": 1}, {"type": "null"}]}),
        (
            {"anyOf": [{"items": {"type": "number", "nullable": True}}]},
            {"anyOf": [{"items": {"type": ["number", "null"]}}]},
        ),
    ],
)
def test_null_besides(old: Any, new: Any) -> None:
    assert modernized(old) == new


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"definitions": {"type": "string"}, "nullable": {"type": "boolean"}}},
        {"properties": {"$ref": {"type": "string"}}},
        {"const": {"$ref": "#/definitions/a", "nullable": True}, "$defs": {"a": {}}},
        {"$defs": {"a": {}}, "definitions": {"b": {}}, "items": {"$ref": "#/definitions/b"}},
        {"properties": [1], "anyOf": {"x": 1}, "items": 5, "$ref": 1},
        [],
        None,
    ],
)
def test_what_is_not_meant_so_is_left_alone(schema: Any) -> None:
    assert modernized(schema) == schema
