"""The environment, read once.

Every field of `Settings` is one variable of the same name in upper case. `Settings.load` reads them all, checks them
all, and complains about all that is wrong at once, so that a container that does not start says everything in one log
line. Nothing else in this package reads the environment.
"""

import dataclasses
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, cast

from pais_lite.errors import ConfigurationError
from pais_lite.peers import URL_EXPECTED, Peer, complete_peers, maybe_http_url

__all__ = ["ApiKey", "Settings"]

MockResponses = tuple[str | dict[str, Any], ...]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# Names end up in tool names, Redis keys and headers.
_AGENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PEER_URL, _PEER_KEY = "PEER_AGENT_{}_CARD_URL", "SUB_AGENT_{}_API_KEY"
_OWNER_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


class _Unfit(Exception):
    """A value is not what its setting expects; the message says what would be."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One entry of `AGENT_API_KEYS`: a key, and the name that owns what is stored under it."""

    owner: str
    key: str


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise _Unfit("text")


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _TRUE | _FALSE:
        return value.strip().lower() in _TRUE
    raise _Unfit("true or false")


def _integer(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", value):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise _Unfit(f"a whole number from {low} to {high}")

    return parse


def _seconds(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                value = None
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise _Unfit(f"a number from {low:g} to {high:g}")

    return parse


def _choice(*choices: str, fold: Callable[[str], str] = str.lower) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if isinstance(value, str) and fold(value.strip()) in choices:
            return fold(value.strip())
        raise _Unfit("one of " + ", ".join(choices))

    return parse


def _agent_name(value: object) -> str:
    if isinstance(value, str) and _AGENT_NAME.fullmatch(value):
        return value
    raise _Unfit("at most 64 letters, digits, dots, dashes and underscores, the first a letter or a digit")


def _http_url(value: object) -> str:
    url = maybe_http_url(value)
    if url is None:
        raise _Unfit(URL_EXPECTED)
    return url


def _redis_url(value: object) -> str:
    if isinstance(value, str) and re.match(r"(rediss?|unix|rediss?\+sentinel)://", value.strip()):
        return value.strip()
    raise _Unfit("a URL that begins with redis://, rediss://, unix:// or redis+sentinel://")


def _mock_responses(value: object) -> MockResponses:
    expected = "a JSON list of texts and of objects with `tool_calls`"
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise _Unfit(expected) from exc
    if isinstance(value, list | tuple) and value and all(isinstance(entry, str | dict) for entry in value):
        return tuple(value)
    raise _Unfit(expected)


def _list(value: object, expected: str) -> list[str]:
    """Split a comma-separated list; a list made in code is taken as it is."""
    if isinstance(value, str):
        return [item for item in (part.strip() for part in value.split(",")) if item]
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return list(value)
    raise _Unfit(expected)


def _api_keys(value: object) -> tuple[ApiKey, ...]:
    expected = "a comma-separated list of `key` or `name:key`, each key once"
    keys: list[ApiKey] = []
    for item in _list(value, expected):
        owner, colon, key = item.rpartition(":")
        # Keys are compared as the ASCII that a header carries.
        if not key.isascii() or not key.isprintable() or (colon and not _OWNER_NAME.fullmatch(owner)):
            raise _Unfit(expected)
        keys.append(ApiKey(owner=owner or "user", key=key))
    if not keys or len({entry.key for entry in keys}) != len(keys):
        raise _Unfit(expected)
    return tuple(keys)


def _origins(value: object) -> tuple[str, ...]:
    expected = "a comma-separated list of origins such as https://app.example.com, or *"
    origins = _list(value, expected)
    if origins and all(
        item == "*" or re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/,]+", item) for item in origins
    ):
        return tuple(origins)
    raise _Unfit(expected)


def _sub_agents(value: object) -> tuple[Peer, ...]:
    expected = "a comma-separated list of `name:url`, each name once"
    if isinstance(value, Mapping):
        pairs = [(str(name), url) for name, url in value.items()]
    else:
        pairs = [(name.strip(), url) for name, _, url in (i.partition(":") for i in _list(value, expected))]
    try:
        peers = tuple(Peer(_agent_name(name), _http_url(url)) for name, url in pairs)
    except _Unfit as exc:
        raise _Unfit(expected) from exc
    return _each_once(peers, expected)


def _peers(value: object) -> tuple[Peer, ...]:
    """Read names whose URLs are in variables of their own, or a mapping that has both."""
    if isinstance(value, Mapping):
        return _sub_agents(value)
    expected = "a comma-separated list of names, each once"
    try:
        peers = tuple(Peer(_agent_name(name), "") for name in _list(value, expected))
    except _Unfit as exc:
        raise _Unfit(expected) from exc
    return _each_once(peers, expected)


def _each_once(peers: tuple[Peer, ...], expected: str) -> tuple[Peer, ...]:
    if len({peer.name for peer in peers}) != len(peers):
        raise _Unfit(expected)
    return peers


def _variables(value: object) -> tuple[tuple[str, str], ...]:
    if isinstance(value, Mapping) and all(
        isinstance(name, str) and name.startswith("OTEL_") and isinstance(text, str)
        for name, text in value.items()
    ):
        return tuple(value.items())
    raise _Unfit("a mapping of names that begin with OTEL_ to texts")


def _setting(
    parse: Callable[[object], Any],
    default: Any = None,
    *,
    secret: bool = False,
    env: tuple[str, ...] = (),
    url_variable: str | None = None,
    key_variable: str | None = None,
) -> Any:
    """Declare a field: how it is read, what it is when unset, and whether complaints must not show its value.

    Of a list of names, `url_variable` is where the URL of each one is, and `key_variable` its key.
    """
    metadata = {
        "parse": parse,
        "secret": secret,
        "env": env,
        "url_variable": url_variable,
        "key_variable": key_variable,
    }
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All that configures a server. Times are seconds unless a name says otherwise; `None` means not set.

    `Settings.load()` reads the environment. `Settings()` is the defaults alone, which tests use.
    """

    agent_name: str | None = _setting(_agent_name)
    agent_description: str = _setting(_text, "AI Agent")
    agent_instructions: str = _setting(_text, "You are a helpful assistant.")
    agent_host: str = _setting(_text, "0.0.0.0")
    agent_port: int = _setting(_integer(0, 65535), 8000)
    agent_public_url: str | None = _setting(_http_url)
    agentic_loop_max_steps: int = _setting(_integer(1, 1000), 5)

    model_api_url: str | None = _setting(_http_url)
    model_name: str | None = _setting(_text)
    model_api_key: str | None = _setting(_text, secret=True)
    model_timeout: float = _setting(_seconds(0.1, 86400), 120.0)
    tool_call_mode: Literal["auto", "native", "string"] = _setting(
        _choice("auto", "native", "string"), "auto"
    )
    debug_mock_responses: MockResponses | None = _setting(_mock_responses)

    memory_enabled: bool = _setting(_boolean, True)
    memory_type: Literal["local", "redis", "null"] = _setting(_choice("local", "redis", "null"), "local")
    memory_redis_url: str | None = _setting(_redis_url, secret=True)
    memory_context_limit: int = _setting(_integer(0, 10000), 6)
    memory_max_sessions: int = _setting(_integer(1, 10_000_000), 1000)
    memory_max_session_events: int = _setting(_integer(2, 1_000_000), 500)
    memory_ttl_hours: float = _setting(_seconds(0.001, 876_000), 24.0)

    agent_sub_agents: tuple[Peer, ...] = _setting(
        _sub_agents, (), url_variable=_PEER_URL, key_variable=_PEER_KEY
    )
    peer_agents: tuple[Peer, ...] = _setting(_peers, (), url_variable=_PEER_URL, key_variable=_PEER_KEY)
    delegation_max_depth: int = _setting(_integer(1, 100), 5)
    discovery_timeout: float = _setting(_seconds(0.05, 3600), 5.0)
    delegation_timeout: float = _setting(_seconds(0.05, 86400), 60.0)
    mcp_servers: tuple[Peer, ...] = _setting(_peers, (), url_variable="MCP_SERVER_{}_URL")

    agent_api_keys: tuple[ApiKey, ...] = _setting(_api_keys, (), secret=True)
    cors_allow_origins: tuple[str, ...] = _setting(_origins, ())
    max_request_bytes: int = _setting(_integer(1024, 1 << 30), 10_485_760)
    max_concurrent_runs: int = _setting(_integer(1, 100_000), 256)
    run_timeout: float = _setting(_seconds(0.1, 86400), 300.0)
    sse_keepalive_seconds: float = _setting(_seconds(0.05, 3600), 15.0)
    shutdown_grace_seconds: float = _setting(_seconds(0, 3600), 25.0)
    on_disconnect: Literal["cancel", "continue"] = _setting(_choice("cancel", "continue"), "cancel")
    session_policy: Literal["queue", "reject", "allow"] = _setting(
        _choice("queue", "reject", "allow"), "queue"
    )
    run_ttl_minutes: float = _setting(_seconds(0.01, 1_000_000), 60.0)

    log_level: str = _setting(
        _choice(*_LOG_LEVELS, fold=str.upper), "INFO", env=("AGENT_LOG_LEVEL", "LOG_LEVEL")
    )
    log_format: Literal["text", "json"] = _setting(_choice("text", "json"), "text")
    agent_access_log: bool = _setting(_boolean, False)
    console: bool = _setting(_boolean, True)

    otel_enabled: bool = _setting(_boolean, False)
    # Those of the environment, by name: OpenTelemetry reads, checks and explains them itself.
    otel_variables: tuple[tuple[str, str], ...] = _setting(_variables, ())

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        env_file: Path | None = Path(".env"),
        **overrides: object,
    ) -> Self:
        """Read `environ` (the process's by default), then `env_file` for what it does not set, then the overrides.

        Overrides are named like the fields and win; they may be Python values or the texts that a variable would
        hold. An empty variable counts as unset.

        Raises:
            ConfigurationError: naming each wrong variable, its value unless that is a secret, and what was expected.
        """
        environ = os.environ if environ is None else environ
        values = {**_read_env_file(env_file), **{name: value for name, value in environ.items() if value}}
        overrides.setdefault("otel_variables", _open_telemetry(values))
        fields = {field.name: field for field in dataclasses.fields(cls)}
        complaints = [f"there is no setting {name!r}" for name in overrides if name not in fields]
        found: dict[str, object] = {}
        for field in fields.values():
            source, value = _look_up(field, values, overrides)
            if value is None:
                continue
            try:
                parsed = field.metadata["parse"](value)
                if (template := field.metadata["url_variable"]) is not None:
                    key_template = field.metadata["key_variable"]
                    parsed, missing = complete_peers(source, parsed, values, template, key_template)
                    complaints += missing
                found[field.name] = parsed
            except _Unfit as exc:
                shown = "its value" if field.metadata["secret"] else repr(value)
                complaints.append(f"{source}: {shown} is not {exc}")
        if not complaints:
            settings = cls(**cast("dict[str, Any]", found))
            complaints = settings._contradictions()
            if not complaints:
                return settings
        raise ConfigurationError("; ".join(complaints))

    @property
    def sub_agents(self) -> tuple[Peer, ...]:
        """The agents to delegate to, whichever of the two variables named them."""
        return (
            *self.agent_sub_agents,
            *(peer for peer in self.peer_agents if peer not in self.agent_sub_agents),
        )

    def _contradictions(self) -> list[str]:
        """Say which settings are fine alone but not together."""
        complaints = []
        names = [peer.name for peer in self.sub_agents]
        complaints += [
            f"AGENT_SUB_AGENTS and PEER_AGENTS have different URLs for {name!r}"
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
        if self.memory_type == "redis" and self.memory_enabled and self.memory_redis_url is None:
            complaints.append("MEMORY_TYPE=redis needs MEMORY_REDIS_URL, such as redis://localhost:6379/0")
        return complaints


def _read_env_file(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    # Only those who have the file pay for the import.
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(path).items() if value}
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"{path} could not be read: {type(exc).__name__}") from exc


def _open_telemetry(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name.startswith("OTEL_")}


def _look_up(
    field: "dataclasses.Field[Any]", values: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[str, object]:
    """Return where the field's value comes from and that value, `None` where nothing sets it."""
    if overrides.get(field.name) is not None:
        return field.name, overrides[field.name]
    for name in field.metadata["env"] or (field.name.upper(),):
        if name in values:
            return name, values[name]
    return field.name, None
