"""A schema that a client sent: what fits it, what is said of what does not, and which schemas are refused."""

from typing import Any

import pytest

from pais_lite.agent.json_schema import JsonSchema, UnusableSchema, check_shape

PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 10},
        "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2, "uniqueItems": True},
        "home": {"$ref": "#/$defs/place"},
        "mail": {"type": ["string", "null"], "pattern": "^[^@]+@[^@]+$"},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"place": {"type": "object", "properties": {"city": {"const": "Rome"}}, "required": ["city"]}},
}


@pytest.mark.parametrize(
    ("value", "violation"),
    [
        ({"name": "Ada"}, None),
        (
            {"name": "Ada", "age": 36.0, "tags": ["a", "b"], "home": {"city": "Rome", "x": 1}, "mail": None},
            None,
        ),
        ([], "$: has to be an object"),
        ({}, "$: 'name' is missing"),
        ({"name": ""}, "$.name: has to have at least 1 characters"),
        ({"name": "x" * 11}, "$.name: can have at most 10 characters"),
        ({"name": "Ada", "age": "36"}, "$.age: has to be an integer"),
        ({"name": "Ada", "age": True}, "$.age: has to be an integer"),
        ({"name": "Ada", "age": 36.5}, "$.age: has to be an integer"),
        ({"name": "Ada", "age": -1}, "$.age: has to be at least 0"),
        ({"name": "Ada", "age": 150}, "$.age: has to be less than 150"),
        ({"name": "Ada", "tags": ["a", "c"]}, "$.tags[1]: has to be one of the values of enum"),
        ({"name": "Ada", "tags": ["a", "a"]}, "$.tags: two items are the same"),
        ({"name": "Ada", "tags": ["a", "b", "a"]}, "$.tags: can have at most 2 items"),
        ({"name": "Ada", "home": {}}, "$.home: 'city' is missing"),
        ({"name": "Ada", "home": {"city": "Bath"}}, "$.home.city: has to be the value of const"),
        ({"name": "Ada", "mail": "nobody"}, "$.mail: does not match the pattern"),
        ({"name": "Ada", "mail": 1}, "$.mail: has to be a string or null"),
        ({"name": "Ada", "nick": "A"}, "$: 'nick' is not allowed"),
    ],
)
def test_a_person(value: Any, violation: str | None) -> None:
    assert JsonSchema(PERSON).maybe_violation(value) == violation


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, ["x", None], [1, {}]),
        ({"oneOf": [{"type": "number"}, {"minimum": 5}]}, [1, "x"], [7]),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, [1, 3, "x"], [0, 4]),
        ({"not": {"type": "string"}}, [1, None], ["x"]),
        (
            {"if": {"minimum": 5}, "then": {"multipleOf": 5}, "else": {"const": 1}},
            [5, 10, 1, 1.0],
            [6, 2],
        ),
        ({"multipleOf": 0.1}, [0.3, 1, 0], [0.25]),
        (
            {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}},
            [["a", 1], []],
            [[1], ["a", "b"]],
        ),
        ({"contains": {"const": 1}, "maxContains": 2}, [[1], [1, 2, 1]], [[], [1, 1, 1]]),
        ({"contains": {"const": 1}, "minContains": 0}, [[], [2]], []),
        ({"additionalProperties": {"type": "integer"}}, [{"a": 1}, {}], [{"a": "1"}]),
        ({"patternProperties": {"^n_": {"type": "integer"}}}, [{"n_a": 1, "b": "x"}], [{"n_a": "x"}]),
        ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}], [{"abc": 1}]),
        ({"dependentRequired": {"a": ["b"]}}, [{"a": 1, "b": 1}, {"b": 1}], [{"a": 1}]),
        ({"minProperties": 1, "maxProperties": 1}, [{"a": 1}], [{}, {"a": 1, "b": 1}]),
        ({"enum": [1, "a", [True]]}, [1, 1.0, "a", [True]], [True, [1], "b"]),
        ({"format": "email"}, ["nobody"], []),
        (True, [1, None], []),
        (False, [], [1, None]),
    ],
)
def test_keywords(schema: Any, fits: list[Any], does_not: list[Any]) -> None:
    read = JsonSchema(schema)
    assert [read.maybe_violation(value) for value in fits] == [None] * len(fits)
    assert all(read.maybe_violation(value) for value in does_not)


@pytest.mark.parametrize(
    ("value", "path"),
    [({"n": float("nan")}, "$.n"), ({"a": [0, {"b": float("inf")}]}, "$.a[1].b"), ([-float("inf")], "$[0]")],
)
def test_numbers_that_json_has_no_words_for(value: Any, path: str) -> None:
    for schema in (True, {"properties": {"n": {"type": "number"}}}):
        assert JsonSchema(schema).maybe_violation(value) == f"{path}: has to be a number that JSON can write"


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


def test_pattern_that_would_keep_other_engines_busy_for_years() -> None:
    read = JsonSchema({"pattern": "^(a+)+$"})
    assert read.maybe_violation("a" * 50_000 + "b") == "$: does not match the pattern"


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
