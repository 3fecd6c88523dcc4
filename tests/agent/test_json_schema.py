"""Schemas that a client sent: which are refused, and what is said of them."""

from typing import Any

import pytest

from pais_lite.agent.json_schema import JsonSchema, UnusableSchema, check_shape


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ([], "schema has to be an object or a boolean"),
        ({"type": "thing"}, "schema.type has to be one of"),
        ({"type": ["string", 1]}, "schema.type has to be one of"),
        ({"properties": []}, "schema.properties has to be an object of schemas"),
        ({"properties": {"a": 1}}, "schema.properties.a has to be an object or a boolean"),
        ({"items": {"anyOf": []}}, "schema.items.anyOf has to be a list of schemas"),
        ({"required": "a"}, "schema.required has to be a list of names"),
        ({"dependentRequired": []}, "schema.dependentRequired has to be an object"),
        ({"enum": 1}, "schema.enum has to be a list"),
        ({"minLength": -1}, "schema.minLength has to be a whole number"),
        ({"maximum": "1"}, "schema.maximum has to be a number"),
        ({"minimum": float("nan")}, "schema.minimum has to be a number"),
        ({"multipleOf": 0}, "schema.multipleOf has to be greater than 0"),
        ({"pattern": "(?=a)"}, "schema.pattern is not a regular expression"),
        ({"pattern": 1}, "schema.pattern has to be a string"),
        ({"patternProperties": {"(": {}}}, "schema.patternProperties is not a regular expression"),
        ({"$ref": "#/$defs/gone"}, "there is no #/$defs/gone"),
        ({"$ref": "https://example.com/schema"}, "a $ref has to begin with #/$defs/"),
        ({"$ref": 1}, "a $ref has to begin with #/$defs/"),
        ({"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}, "#/$defs/a is part of itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "is part of itself"),
        ({"unevaluatedProperties": False}, "unevaluatedProperties is not supported"),
    ],
)
def test_schemas_that_cannot_be_held_to(schema: Any, complaint: str) -> None:
    with pytest.raises(UnusableSchema) as caught:
        JsonSchema(schema)
    assert complaint in str(caught.value)


def test_schema_that_is_nested_too_deeply() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"items": schema}
    with pytest.raises(UnusableSchema, match="nested too deeply"):
        JsonSchema(schema)


def test_small_schema_that_is_huge_when_it_is_written_out() -> None:
    level = {f"l{n}": {"prefixItems": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(25)}
    with pytest.raises(UnusableSchema, match="too large"):
        JsonSchema(
            {"type": "object", "$defs": {**level, "l25": {}}, "properties": {"a": {"$ref": "#/$defs/l0"}}}
        )


@pytest.mark.parametrize(
    "schema",
    [
        {"items": [{"type": "string"}], "additionalItems": False},
        {"$ref": "#"},
        {"$ref": "https://example.com/schema", "definitions": {"a": {}}},
        {"pattern": "(?=a)", "x-extension": [1]},
        {"properties": None, "items": None},
        {"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}},
    ],
)
def test_tools_may_have_schemas_that_answers_may_not(schema: Any) -> None:
    check_shape(schema)


@pytest.mark.parametrize(
    "schema",
    [1, {"properties": {"a": 1}}, {"items": [1]}, {"type": 1}, {"required": {}}, {"anyOf": {}}, {"$ref": {}}],
)
def test_tools_have_schemas(schema: Any) -> None:
    with pytest.raises(UnusableSchema):
        check_shape(schema)
