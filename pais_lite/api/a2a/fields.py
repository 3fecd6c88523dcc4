"""The parameters of a call, field by field. Names may come in camel case, as A2A has them, or in snake case."""

import re
from collections.abc import Mapping
from typing import Any

from pais_lite.api.a2a.errors import invalid_params

__all__ = [
    "known_fields",
    "maybe_flag",
    "maybe_number",
    "maybe_object",
    "maybe_text",
    "maybe_texts",
    "required_text",
]

_UNDERSCORE = re.compile(r"_([a-z])")
# The ids of others are stored and sent back.
_MAX_ID = 512


def known_fields(value: object, path: str) -> dict[str, Any]:
    """Return an object with its names in camel case; null counts as absent, as it does in ProtoJSON.

    Raises:
        RpcError: it is no object.
    """
    if not isinstance(value, Mapping):
        raise invalid_params("has to be an object", path)
    return {
        _UNDERSCORE.sub(lambda found: found[1].upper(), name): entry
        for name, entry in value.items()
        if entry is not None
    }


def required_text(fields: Mapping[str, Any], name: str, path: str = "") -> str:
    """Return a field that has to be there and to be a string with something in it; raises `RpcError`."""
    found = maybe_text(fields, name, path)
    if found is None:
        raise invalid_params("is missing", path + name)
    return found


def maybe_text(fields: Mapping[str, Any], name: str, path: str = "") -> str | None:
    """Return an id or a word, `None` where it is missing or empty; raises `RpcError` for anything else."""
    found = fields.get(name)
    if found is None or found == "":
        return None
    if not isinstance(found, str) or len(found) > _MAX_ID:
        raise invalid_params(f"has to be a string of at most {_MAX_ID} characters", path + name)
    return found


def maybe_texts(fields: Mapping[str, Any], name: str, path: str = "") -> list[str]:
    """Return a list of strings, an empty one where it is missing; raises `RpcError` for anything else."""
    found = fields.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise invalid_params("has to be a list of strings", path + name)
    return found


def maybe_number(
    fields: Mapping[str, Any], name: str, path: str = "", *, least: int = 0, most: int = 2**31 - 1
) -> int | None:
    """Return a whole number, `None` where it is missing; raises `RpcError` for anything else."""
    found = fields.get(name)
    if found is None:
        return None
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        limits = f"of at least {least}" if most == 2**31 - 1 else f"between {least} and {most}"
        raise invalid_params(f"has to be a whole number {limits}", path + name)
    return found


def maybe_flag(fields: Mapping[str, Any], name: str, path: str = "") -> bool | None:
    """Return true or false, `None` where it is missing; raises `RpcError` for anything else."""
    found = fields.get(name)
    if found is not None and not isinstance(found, bool):
        raise invalid_params("has to be true or false", path + name)
    return found


def maybe_object(fields: Mapping[str, Any], name: str, path: str = "") -> Mapping[str, Any]:
    """Return an object as it is, an empty one where it is missing; raises `RpcError` for anything else."""
    found = fields.get(name, {})
    if not isinstance(found, Mapping):
        raise invalid_params("has to be an object", path + name)
    return found
