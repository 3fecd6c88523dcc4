"""What a tool-calling suite is made of, and how an answer is marked."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Call", "Suite", "Talk", "arguments_right"]


class Call:
    """A request that has to end in one call of `tool` with `arguments`.

    A tuple of values means that each of them is right; a string that starts with `~` must be part of the argument.
    """

    def __init__(self, text: str, tool: str, /, **arguments: Any) -> None:
        self.text = text
        self.tool = tool
        self.arguments = arguments


@dataclass(frozen=True)
class Talk:
    """Something that no tool is for."""

    text: str


@dataclass(frozen=True)
class Suite:
    """Tools as plain functions, and what is said to an agent that has them."""

    name: str
    tools: Sequence[Callable[..., Any]]
    cases: Sequence[Call | Talk]


def arguments_right(expected: dict[str, Any], got: dict[str, Any], defaults: dict[str, Any]) -> bool:
    """Whether `got` says what was expected: nothing missing, nothing added but defaults, case and quotes aside."""
    for name, value in expected.items():
        if name not in got or not _same(value, got[name]):
            return False
    return all(
        value is None or value in ("", defaults.get(name))
        for name, value in got.items()
        if name not in expected
    )


def _same(expected: Any, got: Any) -> bool:
    if isinstance(expected, tuple):
        return any(_same(one, got) for one in expected)
    if isinstance(expected, dict):
        return isinstance(got, dict) and arguments_right(expected, got, {})
    if isinstance(expected, str):
        if not isinstance(got, str):
            return False
        if expected.startswith("~"):
            return _plain(expected[1:]) in _plain(got)
        return _plain(expected) == _plain(got)
    if isinstance(expected, bool) or isinstance(got, bool):
        return expected is got
    if isinstance(got, int | float):
        return bool(expected == got)
    return False


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" \t\n\"'.,!?").casefold()
