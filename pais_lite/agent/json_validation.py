"""Whether a value fits a JSON Schema (2020-12): validation, and what is said of what does not fit.

Pydantic AI hands a client's schema to the model and does not look at the answer. Here, pure functions do.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pais_lite.agent.json_schema import TYPES, JsonSchema, is_number

__all__ = ["maybe_violation"]

_ARTICLES = {"object": "an object", "array": "an array", "integer": "an integer", "null": "null"}


def maybe_violation(schema: JsonSchema, value: Any) -> str | None:
    """Return what is wrong with a value, and where, `None` when it fits."""
    found = next(_Validator(schema).violations(schema.root, value, "$"), None)
    return found or next(_no_json(value, "$"), None)


class _Validator:
    """Compares values with parts of one schema. Violations are found one by one: mostly the first is enough."""

    def __init__(self, schema: JsonSchema) -> None:
        self._schema = schema

    def violations(self, schema: Any, value: Any, path: str) -> Iterator[str]:
        """Yield what is wrong with a value, at `path` in the whole."""
        if isinstance(schema, bool):
            if not schema:
                yield f"{path}: nothing is allowed here"
            return
        if "$ref" in schema:
            yield from self.violations(self._schema.resolved(schema["$ref"]), value, path)
        kinds = schema.get("type")
        if kinds is not None:
            listed = kinds if isinstance(kinds, list) else [kinds]
            if not any(TYPES[kind](value) for kind in listed):
                names = " or ".join(_ARTICLES.get(kind, f"a {kind}") for kind in listed)
                yield f"{path}: has to be {names}"
                return
        if "enum" in schema and not any(_same(value, option) for option in schema["enum"]):
            yield f"{path}: has to be one of the values of enum"
        if "const" in schema and not _same(value, schema["const"]):
            yield f"{path}: has to be the value of const"
        yield from self._combined(schema, value, path)
        if isinstance(value, Mapping):
            yield from self._object(schema, value, path)
        elif isinstance(value, list):
            yield from self._array(schema, value, path)
        elif isinstance(value, str):
            yield from self._string(schema, value, path)
        elif is_number(value):
            yield from _number(schema, value, path)

    def _fits(self, schema: Any, value: Any) -> bool:
        return next(self.violations(schema, value, ""), None) is None

    def _combined(self, schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
        for one in schema.get("allOf", ()):
            yield from self.violations(one, value, path)
        if "anyOf" in schema and not any(self._fits(one, value) for one in schema["anyOf"]):
            yield f"{path}: fits none of anyOf"
        if "oneOf" in schema and (fitting := sum(self._fits(one, value) for one in schema["oneOf"])) != 1:
            yield f"{path}: has to fit exactly one of oneOf, and fits {fitting}"
        if "not" in schema and self._fits(schema["not"], value):
            yield f"{path}: is what `not` excludes"
        if "if" in schema:
            branch = "then" if self._fits(schema["if"], value) else "else"
            yield from self.violations(schema.get(branch, True), value, path)

    def _object(self, schema: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[str]:
        required = list(schema.get("required", ()))
        for name, others in schema.get("dependentRequired", {}).items():
            required += others if name in value else ()
        for name in required:
            if name not in value:
                yield f"{path}: {name!r} is missing"
        yield from _count(schema, "Properties", len(value), path, "entries")
        properties, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        for name, entry in value.items():
            below = f"{path}.{name}"
            known = name in properties
            if known:
                yield from self.violations(properties[name], entry, below)
            for pattern, one in patterns.items():
                if self._schema.matches(pattern, name):
                    known = True
                    yield from self.violations(one, entry, below)
            if not known and "additionalProperties" in schema:
                if schema["additionalProperties"] is False:
                    yield f"{path}: {name!r} is not allowed"
                else:
                    yield from self.violations(schema["additionalProperties"], entry, below)
            yield from self.violations(schema.get("propertyNames", True), name, f"{below} (its name)")

    def _array(self, schema: Mapping[str, Any], value: Sequence[Any], path: str) -> Iterator[str]:
        yield from _count(schema, "Items", len(value), path, "items")
        first = schema.get("prefixItems", ())
        for place, item in enumerate(value):
            one = first[place] if place < len(first) else schema.get("items", True)
            yield from self.violations(one, item, f"{path}[{place}]")
        if schema.get("uniqueItems") is True and any(
            _same(item, other) for place, item in enumerate(value) for other in value[:place]
        ):
            yield f"{path}: two items are the same"
        if "contains" in schema:
            found = sum(self._fits(schema["contains"], item) for item in value)
            if not schema.get("minContains", 1) <= found <= schema.get("maxContains", found):
                yield f"{path}: {found} items fit contains"

    def _string(self, schema: Mapping[str, Any], value: str, path: str) -> Iterator[str]:
        yield from _count(schema, "Length", len(value), path, "characters")
        if "pattern" in schema and not self._schema.matches(schema["pattern"], value):
            yield f"{path}: does not match the pattern"


def _count(schema: Mapping[str, Any], what: str, count: int, path: str, words: str) -> Iterator[str]:
    low, high = schema.get(f"min{what}", 0), schema.get(f"max{what}", count)
    if count < low:
        yield f"{path}: has to have at least {low} {words}"
    if count > high:
        yield f"{path}: can have at most {high} {words}"


def _number(schema: Mapping[str, Any], value: float, path: str) -> Iterator[str]:
    if value < schema.get("minimum", value):
        yield f"{path}: has to be at least {schema['minimum']}"
    if value > schema.get("maximum", value):
        yield f"{path}: can be at most {schema['maximum']}"
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        yield f"{path}: has to be more than {schema['exclusiveMinimum']}"
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        yield f"{path}: has to be less than {schema['exclusiveMaximum']}"
    if "multipleOf" in schema and not _is_multiple(value, schema["multipleOf"]):
        yield f"{path}: has to be a multiple of {schema['multipleOf']}"


def _is_multiple(value: float, of: float) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    try:
        quotient = value / of
    except OverflowError:
        return False
    # Tenths are not exact in binary.
    return math.isfinite(quotient) and math.isclose(quotient, round(quotient), rel_tol=1e-9, abs_tol=1e-9)


def _no_json(value: Any, path: str) -> Iterator[str]:
    """Tell of NaN and infinity, which lenient readers take and JSON has no words for, wherever they are."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path}: has to be a number that JSON can write"
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _no_json(entry, f"{path}.{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _no_json(item, f"{path}[{place}]")


def _same(left: Any, right: Any) -> bool:
    """Compare as JSON does: `1` is `1.0`, and is not `true`."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
