"""JSON as this package writes it, to the wire and to storage."""

import json
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

__all__ = ["dump_json", "load_json", "maybe_json"]


def dump_json(value: Any) -> bytes:
    """Return `value` as compact JSON in UTF-8. What JSON has no word for, such as NaN, becomes null."""
    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:
        # A lone surrogate, which UTF-8 cannot hold: models do cut an emoji in half. JSON has an escape for it.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


def load_json(data: bytes) -> Any:
    """Return what `dump_json` wrote; raises `ValueError` for what is no JSON."""
    try:
        return from_json(data)
    except ValueError:
        pass
    try:
        # The escape of a lone surrogate, which only the slower reader takes.
        return json.loads(data)
    except RecursionError as exc:
        raise ValueError("the JSON is nested too deeply") from exc


def maybe_json(data: bytes) -> Any:
    """Return what somebody else's JSON says, `None` when it says nothing or is none."""
    try:
        return load_json(data)
    except ValueError:
        return None
