"""Schemas that grammars can hold an answer to, made from those of the tools."""

from typing import Any

from pydantic_ai.tools import ToolDefinition

from pais_lite.models.string_mode.schema import answer_schema, grammar_schema


def test_references_are_written_out_for_each_tool() -> None:
    schema = {
        "type": "object",
        "properties": {
            "where": {"$ref": "#/$defs/Place"},
            "again": {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]},
        },
        "required": ["where"],
        "$defs": {
            "Place": {
                "type": "object",
                "properties": {"city": {"type": "string", "pattern": "(?=x)"}},
                "required": ["city"],
            }
        },
    }
    place = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    assert grammar_schema(schema) == {
        "type": "object",
        "properties": {"where": place, "again": {"anyOf": [place, {"type": "null"}]}},
        "required": ["where"],
        "additionalProperties": False,
    }


def test_recursive_types_end() -> None:
    schema: dict[str, Any] = {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"child": {"$ref": "#/$defs/Node"}}}},
    }
    assert grammar_schema(schema)["properties"]["child"] == {}


def test_what_grammars_do_not_know_is_left_out() -> None:
    schema = {
        "type": "object",
        "title": "T",
        "properties": {
            "count": {"type": "integer", "minimum": 1, "multipleOf": 2, "default": 4},
            "tags": {
                "type": "array",
                "items": {"type": "string", "format": "email"},
                "maxItems": 100_000,
                "uniqueItems": True,
            },
            "kind": {"enum": ["a", "b"], "type": "string", "description": "which"},
            "extra": {"type": "object", "additionalProperties": {"type": "number"}},
            "either": {"type": ["string", "null"]},
        },
    }
    assert grammar_schema(schema)["properties"] == {
        "count": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
        "kind": {"enum": ["a", "b"], "type": "string"},
        "extra": {"type": "object", "additionalProperties": {"type": "number"}},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    }


def test_answer_is_calls_or_text() -> None:
    tools = [ToolDefinition(name="a"), ToolDefinition(name="b")]
    both = answer_schema(tools, text=True, several=True)
    assert len(both["anyOf"]) == 2
    only = answer_schema(tools, text=False, several=False)
    assert only["required"] == ["tool_calls"]
    assert only["properties"]["tool_calls"]["maxItems"] == 1
    names = [
        entry["properties"]["name"]["const"] for entry in only["properties"]["tool_calls"]["items"]["anyOf"]
    ]
    assert names == ["a", "b"]
