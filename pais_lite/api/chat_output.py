"""The form of the answer in a chat request: `response_format`."""

import re
from collections.abc import Mapping
from typing import Any

from pais_lite.agent import OutputFormat
from pais_lite.agent.json_schema import UnusableSchema
from pais_lite.agent.outputs import check_schema
from pais_lite.errors import InvalidRequest

__all__ = ["read_output_format", "read_response_format"]

# As the OpenAI API takes it.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read_response_format(body: Mapping[str, Any]) -> OutputFormat | None:
    """Read `response_format`; `None` is plain text, or whatever the agent answers by itself.

    Raises:
        InvalidRequest: it is none of the three forms, or its schema cannot be held to.
    """
    return read_output_format(body.get("response_format"), param="response_format")


def read_output_format(wanted: object, *, param: str) -> OutputFormat | None:
    """Read the form of an answer, which is the value of the field `param`. See `read_response_format`."""
    match wanted:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return OutputFormat()
        case {"type": "json_schema", "json_schema": {"name": str() as name, "schema": schema, **others}}:
            description, strict = others.get("description"), others.get("strict")
        case {"type": "json_schema"}:
            raise _wrong(param, "json_schema needs a name and a schema")
        case _:
            raise _wrong(param, "the type has to be text, json_object or json_schema")
    if not _NAME.fullmatch(name):
        raise _wrong(param, "name has to be 1 to 64 letters, digits, _ and -")
    if not isinstance(description, str | None):
        raise _wrong(param, "description has to be a string")
    if not isinstance(strict, bool | None):
        raise _wrong(param, "strict has to be true or false")
    try:
        checked = check_schema(schema)
    except UnusableSchema as exc:
        raise _wrong(param, str(exc)) from exc
    return OutputFormat(schema=checked, name=name, description=description, strict=strict)


def _wrong(param: str, what: str) -> InvalidRequest:
    return InvalidRequest(f"{param}: {what}", param=param)
