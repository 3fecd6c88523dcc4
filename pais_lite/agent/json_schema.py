"""JSON Schema (2020-12): whether answers can be held to a schema that a client sent, which is read here once.

References may point into `$defs`, and not to themselves. What only annotates, `format` included, is passed over, as the
specification says; keywords whose meaning would be lost are refused. Comparing values with a schema is
`json_validation`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

__all__ = [
    "LIST_KEYWORDS",
    "MAPPING_KEYWORDS",
    "SCHEMA_KEYWORDS",
    "TYPES",
    "JsonSchema",
    "UnusableSchema",
    "check_shape",
    "is_number",
]

# Deeper than anything that a person or a tool writes, and far from the interpreter's own limit.
_MAX_DEPTH = 64
# With references written out, as model endpoints get it. Ten definitions that use each other twice are a thousand.
_MAX_SCHEMAS = 5000
# Whether a value is of a type, by the names that schemas have for them.
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, Mapping),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: is_number(value),
    "integer": lambda value: is_number(value) and (isinstance(value, int) or value.is_integer()),
}
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
    "minItems": (lambda value: TYPES["integer"](value), "a whole number"),
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
    """A schema, read once. `root` is all of it.

    Raises:
        UnusableSchema: it is not one that values can be compared with.
    """

    def __init__(self, schema: object) -> None:
        self.root = schema
        self._patterns: dict[str, SchemaValidator] = {}
        # How many schemas a reference stands for; none while it is being read.
        self._sizes: dict[str, int | None] = {}
        if self._read(schema, "schema") > _MAX_SCHEMAS:
            raise UnusableSchema("the schema is too large")

    def resolved(self, reference: object, where: str = "schema") -> object:
        """Return the schema that a reference stands for; raises `UnusableSchema` if there is none."""
        if not isinstance(reference, str) or not reference.startswith("#/$defs/"):
            raise UnusableSchema(f"{where}: a $ref has to begin with #/$defs/")
        node: Any = self.root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or name not in node:
                raise UnusableSchema(f"{where}: there is no {reference}")
            node = node[name]
        return node

    def matches(self, pattern: str, text: str) -> bool:
        """Return whether a text matches one of the schema's patterns."""
        try:
            self._patterns[pattern].validate_python(text)
        except ValidationError:
            return False
        return True

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
        target = self.resolved(reference, where)
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
            if not isinstance(kind, str) or kind not in TYPES:
                raise UnusableSchema(f"{where}.type has to be one of {', '.join(TYPES)}")
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
            if not TYPES["integer"](count) or count < 0:
                raise UnusableSchema(f"{where}.{keyword} has to be a whole number of at least 0")
        for keyword in _NUMBERS:
            if keyword in schema and not (is_number(schema[keyword]) and math.isfinite(schema[keyword])):
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


def is_number(value: object) -> bool:
    """Return whether a value is a number to JSON, to which `true` is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
