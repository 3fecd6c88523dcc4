"""The kinds of values that settings have, and how each is read from a text or taken from code.

Every function here takes what a variable or an override holds and returns what the field is, or raises `Unfit`.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pais_lite.peers import URL_EXPECTED, Peer, maybe_http_url

__all__ = [
    "ApiKey",
    "MockResponses",
    "Unfit",
    "agent_name",
    "api_keys",
    "boolean",
    "choice",
    "http_url",
    "integer",
    "mock_responses",
    "origins",
    "peers",
    "redis_url",
    "seconds",
    "sub_agents",
    "text",
    "variables",
]

MockResponses = tuple[str | dict[str, Any], ...]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OWNER_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


class Unfit(Exception):
    """A value is not what its setting expects; the message says what would be."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One entry of `AGENT_API_KEYS`: a key, and the name that owns what is stored under it."""

    owner: str
    key: str


def text(value: object) -> str:
    """Take a text as it is."""
    if isinstance(value, str):
        return value
    raise Unfit("text")


def boolean(value: object) -> bool:
    """Read yes or no, in the words that people use for them."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise Unfit("true or false")


def integer(low: int, high: int) -> Callable[[object], int]:
    """Return what reads a whole number between two others."""

    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise Unfit(f"a whole number from {low} to {high}")

    return parse


def seconds(low: float, high: float) -> Callable[[object], float]:
    """Return what reads a number, with or without a fraction, between two others."""

    def parse(value: object) -> float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = None
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise Unfit(f"a number from {low:g} to {high:g}")

    return parse


def choice(*choices: str, fold: Callable[[str], str] = str.lower) -> Callable[[object], str]:
    """Return what reads one of a few words, in whichever case."""

    def parse(value: object) -> str:
        if isinstance(value, str) and fold(value.strip()) in choices:
            return fold(value.strip())
        raise Unfit("one of " + ", ".join(choices))

    return parse


def agent_name(value: object) -> str:
    """Read a name that fits into tool names, Redis keys and headers."""
    if isinstance(value, str) and _AGENT_NAME.fullmatch(value):
        return value
    raise Unfit("at most 64 letters, digits, dots, dashes and underscores, the first a letter or a digit")


def http_url(value: object) -> str:
    """Read an address of the web."""
    url = maybe_http_url(value)
    if url is None:
        raise Unfit(URL_EXPECTED)
    return url


def redis_url(value: object) -> str:
    """Read where Redis is; the client checks the rest of the URL."""
    if isinstance(value, str) and re.match(r"(rediss?|unix|rediss?\+sentinel)://", value.strip()):
        return value.strip()
    raise Unfit("a URL that begins with redis://, rediss://, unix:// or redis+sentinel://")


def mock_responses(value: object) -> MockResponses:
    """Read what a mock model says, from JSON or as it was made in code."""
    expected = "a JSON list of texts and of objects with `tool_calls`"
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise Unfit(expected) from exc
    if isinstance(value, list | tuple) and value and all(isinstance(entry, str | dict) for entry in value):
        return tuple(value)
    raise Unfit(expected)


def _list(value: object, expected: str) -> list[str]:
    """Split a comma-separated list; a list made in code is taken as it is."""
    if isinstance(value, str):
        return [item for item in (part.strip() for part in value.split(",")) if item]
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return list(value)
    raise Unfit(expected)


def api_keys(value: object) -> tuple[ApiKey, ...]:
    """Read keys, each with or without the name of its owner."""
    expected = "a comma-separated list of `key` or `name:key`, each key once"
    keys: list[ApiKey] = []
    for item in _list(value, expected):
        owner, colon, key = item.rpartition(":")
        # Keys are compared as the ASCII that a header carries.
        if not key.isascii() or not key.isprintable() or (colon and not _OWNER_NAME.fullmatch(owner)):
            raise Unfit(expected)
        keys.append(ApiKey(owner=owner or "user", key=key))
    if not keys or len({entry.key for entry in keys}) != len(keys):
        raise Unfit(expected)
    return tuple(keys)


def origins(value: object) -> tuple[str, ...]:
    """Read the origins of web pages, or `*` for all of them."""
    expected = "a comma-separated list of origins such as https://app.example.com, or *"
    origins = _list(value, expected)
    if origins and all(
        item == "*" or re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/,]+", item) for item in origins
    ):
        return tuple(origins)
    raise Unfit(expected)


def sub_agents(value: object) -> tuple[Peer, ...]:
    """Read names with their URLs, or a mapping of the same."""
    expected = "a comma-separated list of `name:url`, each name once"
    if isinstance(value, Mapping):
        pairs = [(str(name), url) for name, url in value.items()]
    else:
        pairs = [(name.strip(), url) for name, _, url in (i.partition(":") for i in _list(value, expected))]
    try:
        peers = tuple(Peer(agent_name(name), http_url(url)) for name, url in pairs)
    except Unfit as exc:
        raise Unfit(expected) from exc
    return _each_once(peers, expected)


def peers(value: object) -> tuple[Peer, ...]:
    """Read names whose URLs are in variables of their own, or a mapping that has both."""
    if isinstance(value, Mapping):
        return sub_agents(value)
    expected = "a comma-separated list of names, each once"
    try:
        peers = tuple(Peer(agent_name(name), "") for name in _list(value, expected))
    except Unfit as exc:
        raise Unfit(expected) from exc
    return _each_once(peers, expected)


def _each_once(peers: tuple[Peer, ...], expected: str) -> tuple[Peer, ...]:
    if len({peer.name for peer in peers}) != len(peers):
        raise Unfit(expected)
    return peers


def variables(value: object) -> tuple[tuple[str, str], ...]:
    """Read a mapping of OpenTelemetry's own variables."""
    if isinstance(value, Mapping) and all(
        isinstance(name, str) and name.startswith("OTEL_") and isinstance(text, str)
        for name, text in value.items()
    ):
        return tuple(value.items())
    raise Unfit("a mapping of names that begin with OTEL_ to texts")
