"""JSON Schema (2020-12): whether a value fits a schema that a client sent, and whether the schema can be held to.

Pydantic AI hands such a schema to the model and does not look at the answer. Here, pure functions do. References may
point into `$defs`, and not to themselves. What only annotates, `format` included, is passed over, as the
specification says; keywords whose meaning would be lost are refused.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

__all__ = [
    "LIST_KEYWORDS",
    "MAPPING_KEYWORDS",
    "SCHEMA_KEYWORDS",
    "JsonSchema",
    "UnusableSchema",
    "check_shape",
]

# Deeper than anything that a person or a tool writes, and far from the interpreter's own limit.
_MAX_DEPTH = 64
# With references written out, as model endpoints get it. Ten definitions that use each other twice are a thousand.
_MAX_SCHEMAS = 5000
_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: _is_number(value),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
}
_ARTICLES = {"object": "an object", "array": "an array", "integer": "an integer", "null": "null"}
_REFUSED = (
    "$dynamicRef",
    "$recursiveRef",
    "$anchor",
    "dependencies",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
)
# The keywords that hold schemas: one, a list of them, or some by name. Elsewhere, the same words are data.
SCHEMA_KEYWORDS = (
    "additionalItems",
    "additionalProperties",
    "contains",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
)
LIST_KEYWORDS = ("allOf", "anyOf", "oneOf", "prefixItems")
MAPPING_KEYWORDS = ("$defs", "patternProperties", "properties")
_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "$ref": (lambda value: isinstance(value, str), "a string"),
    "enum": (lambda value: isinstance(value, list), "a list"),
    "minItems": (lambda value: _TYPES["integer"](value), "a whole number"),
    "required": (lambda value: isinstance(value, list), "a list"),
    "type": (
        lambda value: (
            isinstance(value, str)
            or (isinstance(value, list) and all(isinstance(kind, str) for kind in value))
        ),
        "a string or a list of strings",
    ),
}
_COUNTS = (
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
)
_NUMBERS = ("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf")


class UnusableSchema(ValueError):
    """The schema is none, or says something that answers cannot be held to; the message names the place."""


def check_shape(schema: object, where: str = "schema", depth: int = 0) -> None:
    """Return when every schema in a schema is one by its shape, of this or an older draft, whatever it says.

    Raises:
        UnusableSchema: one is not, or they are nested too deeply.
    """
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        raise UnusableSchema(f"{where} has to be an object or a boolean")
    if depth > _MAX_DEPTH:
        raise UnusableSchema(f"{where} is nested too deeply")
    # Null is as good as nothing to those who read these.
    schema = {keyword: value for keyword, value in schema.items() if value is not None}
    for keyword, (is_right, expected) in _SHAPES.items():
        if keyword in schema and not is_right(schema[keyword]):
            raise UnusableSchema(f"{where}.{keyword} has to be {expected}")
    # Before 2020-12, `items` could be what is `prefixItems` now.
    tuples = {"prefixItems": schema.pop("items")} if isinstance(schema.get("items"), list) else {}
    for part in (schema, tuples):
        for below, one in _parts(part, where):
            check_shape(one, below, depth + 1)


class JsonSchema:
    """A schema, read once.

    Raises:
        UnusableSchema: it is not one that values can be compared with.
    """

    def __init__(self, schema: object) -> None:
        self._root = schema
        self._patterns: dict[str, SchemaValidator] = {}
        # How many schemas a reference stands for; none while it is being read.
        self._sizes: dict[str, int | None] = {}
        if self._read(schema, "schema") > _MAX_SCHEMAS:
            raise UnusableSchema("the schema is too large")

    def maybe_violation(self, value: Any) -> str | None:
        """Return what is wrong with a value, and where, `None` when it fits."""
        found = next(self._violations(self._root, value, "$"), None)
        return found or next(_no_json(value, "$"), None)

    # -------------------------------------------------------------------------------------------- the schema itself

    def _read(self, schema: object, where: str, depth: int = 0) -> int:
        """Look at a schema and all in it, and return how many there are."""
        if isinstance(schema, bool):
            return 1
        if not isinstance(schema, Mapping):
            raise UnusableSchema(f"{where} has to be an object or a boolean")
        if depth > _MAX_DEPTH:
            raise UnusableSchema(f"{where} is nested too deeply")
        if refused := [keyword for keyword in _REFUSED if keyword in schema]:
            raise UnusableSchema(f"{where}: {refused[0]} is not supported")
        self._read_values(schema, where)
        size = 1
        for below, one in _parts(schema, where):
            size += self._read(one, below, depth + 1)
        for pattern in schema.get("patternProperties", {}):
            self._pattern(pattern, f"{where}.patternProperties")
        if "$ref" in schema:
            size += self._read_reference(schema["$ref"], where, depth)
        return size

    def _read_reference(self, reference: object, where: str, depth: int) -> int:
        target = self._resolved(reference, where)
        name = str(reference)
        if name not in self._sizes:
            self._sizes[name] = None
            self._sizes[name] = self._read(target, name, depth + 1)
        size = self._sizes[name]
        if size is None:
            raise UnusableSchema(f"{where}: {name} is part of itself, which is not supported")
        return size

    def _read_values(self, schema: Mapping[str, Any], where: str) -> None:
        kinds = schema.get("type", [])
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            if not isinstance(kind, str) or kind not in _TYPES:
                raise UnusableSchema(f"{where}.type has to be one of {', '.join(_TYPES)}")
        if not isinstance(schema.get("enum", []), list):
            raise UnusableSchema(f"{where}.enum has to be a list")
        _check_names(schema.get("required", []), f"{where}.required")
        dependent = schema.get("dependentRequired", {})
        if not isinstance(dependent, Mapping):
            raise UnusableSchema(f"{where}.dependentRequired has to be an object")
        for names in dependent.values():
            _check_names(names, f"{where}.dependentRequired")
        for keyword in _COUNTS:
            count = schema.get(keyword, 0)
            if not _TYPES["integer"](count) or count < 0:
                raise UnusableSchema(f"{where}.{keyword} has to be a whole number of at least 0")
        for keyword in _NUMBERS:
            if keyword in schema and not (_is_number(schema[keyword]) and math.isfinite(schema[keyword])):
                raise UnusableSchema(f"{where}.{keyword} has to be a number")
        if "multipleOf" in schema and schema["multipleOf"] <= 0:
            raise UnusableSchema(f"{where}.multipleOf has to be greater than 0")
        if "pattern" in schema:
            self._pattern(schema["pattern"], f"{where}.pattern")

    def _pattern(self, pattern: object, where: str) -> None:
        """Compile a pattern with an engine whose time grows with the text and no faster, whatever clients send."""
        if not isinstance(pattern, str):
            raise UnusableSchema(f"{where} has to be a string")
        if pattern not in self._patterns:
            try:
                self._patterns[pattern] = SchemaValidator(
                    core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")
                )
            except SchemaError as exc:
                raise UnusableSchema(f"{where} is not a regular expression that is supported") from exc

    def _resolved(self, reference: object, where: str = "schema") -> object:
        if not isinstance(reference, str) or not reference.startswith("#/$defs/"):
            raise UnusableSchema(f"{where}: a $ref has to begin with #/$defs/")
        node: Any = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or name not in node:
                raise UnusableSchema(f"{where}: there is no {reference}")
            node = node[name]
        return node

    # -------------------------------------------------------------------------------------------- values

    def _violations(self, schema: Any, value: Any, path: str) -> Iterator[str]:
        if isinstance(schema, bool):
            if not schema:
                yield f"{path}: nothing is allowed here"
            return
        if "$ref" in schema:
            yield from self._violations(self._resolved(schema["$ref"]), value, path)
        kinds = schema.get("type")
        if kinds is not None:
            listed = kinds if isinstance(kinds, list) else [kinds]
            if not any(_TYPES[kind](value) for kind in listed):
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
        elif _is_number(value):
            yield from _number(schema, value, path)

    def _fits(self, schema: Any, value: Any) -> bool:
        return next(self._violations(schema, value, ""), None) is None

    def _combined(self, schema: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
        for one in schema.get("allOf", ()):
            yield from self._violations(one, value, path)
        if "anyOf" in schema and not any(self._fits(one, value) for one in schema["anyOf"]):
            yield f"{path}: fits none of anyOf"
        if "oneOf" in schema and (fitting := sum(self._fits(one, value) for one in schema["oneOf"])) != 1:
            yield f"{path}: has to fit exactly one of oneOf, and fits {fitting}"
        if "not" in schema and self._fits(schema["not"], value):
            yield f"{path}: is what `not` excludes"
        if "if" in schema:
            branch = "then" if self._fits(schema["if"], value) else "else"
            yield from self._violations(schema.get(branch, True), value, path)

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
                yield from self._violations(properties[name], entry, below)
            for pattern, one in patterns.items():
                if self._matches(pattern, name):
                    known = True
                    yield from self._violations(one, entry, below)
            if not known and "additionalProperties" in schema:
                if schema["additionalProperties"] is False:
                    yield f"{path}: {name!r} is not allowed"
                else:
                    yield from self._violations(schema["additionalProperties"], entry, below)
            yield from self._violations(schema.get("propertyNames", True), name, f"{below} (its name)")

    def _array(self, schema: Mapping[str, Any], value: Sequence[Any], path: str) -> Iterator[str]:
        yield from _count(schema, "Items", len(value), path, "items")
        first = schema.get("prefixItems", ())
        for place, item in enumerate(value):
            one = first[place] if place < len(first) else schema.get("items", True)
            yield from self._violations(one, item, f"{path}[{place}]")
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
        if "pattern" in schema and not self._matches(schema["pattern"], value):
            yield f"{path}: does not match the pattern"

    def _matches(self, pattern: str, text: str) -> bool:
        try:
            self._patterns[pattern].validate_python(text)
        except ValidationError:
            return False
        return True


def _parts(schema: Mapping[str, Any], where: str) -> Iterator[tuple[str, object]]:
    """Return the schemas that are directly in one, each with its place."""
    for keyword in SCHEMA_KEYWORDS:
        if keyword in schema:
            yield f"{where}.{keyword}", schema[keyword]
    for keyword in LIST_KEYWORDS:
        listed = schema.get(keyword, [])
        if not isinstance(listed, list) or (keyword in schema and not listed):
            raise UnusableSchema(f"{where}.{keyword} has to be a list of schemas")
        yield from ((f"{where}.{keyword}[{place}]", one) for place, one in enumerate(listed))
    for keyword in MAPPING_KEYWORDS:
        named = schema.get(keyword, {})
        if not isinstance(named, Mapping):
            raise UnusableSchema(f"{where}.{keyword} has to be an object of schemas")
        yield from ((f"{where}.{keyword}.{name}", one) for name, one in named.items())


def _check_names(names: object, where: str) -> None:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UnusableSchema(f"{where} has to be a list of names")


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


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    """Compare as JSON does: `1` is `1.0`, and is not `true`."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
