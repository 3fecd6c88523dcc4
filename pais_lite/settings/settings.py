"""The environment, read once.

Every field of `Settings` is one variable of the same name in upper case. `Settings.load` reads them all, checks them
all, and complains about all that is wrong at once, so that a container that does not start says everything in one log
line. Nothing else in this package reads the environment.
"""

import dataclasses
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, cast

from pais_lite.errors import ConfigurationError
from pais_lite.peers import Peer, complete_peers
from pais_lite.settings import kinds
from pais_lite.settings.agents_own import AGENTS_OWN, check_names, maybe_prefix, strangers
from pais_lite.settings.kinds import ApiKey, MockResponses, Unfit

__all__ = ["Settings"]

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_PEER_URL, _PEER_KEY = "PEER_AGENT_{}_CARD_URL", "SUB_AGENT_{}_API_KEY"


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

    agent_name: str | None = _setting(kinds.agent_name)
    agent_description: str = _setting(kinds.text, "AI Agent")
    agent_instructions: str = _setting(kinds.text, "You are a helpful assistant.")
    agent_host: str = _setting(kinds.text, "0.0.0.0")
    agent_port: int = _setting(kinds.integer(0, 65535), 8000)
    agent_public_url: str | None = _setting(kinds.http_url)
    agentic_loop_max_steps: int = _setting(kinds.integer(1, 1000), 5)

    model_api_url: str | None = _setting(kinds.http_url)
    model_name: str | None = _setting(kinds.text)
    model_api_key: str | None = _setting(kinds.text, secret=True)
    model_timeout: float = _setting(kinds.seconds(0.1, 86400), 120.0)
    tool_call_mode: Literal["auto", "native", "string"] = _setting(
        kinds.choice("auto", "native", "string"), "auto"
    )
    debug_mock_responses: MockResponses | None = _setting(kinds.mock_responses)

    memory_enabled: bool = _setting(kinds.boolean, True)
    memory_type: Literal["local", "redis", "null"] = _setting(kinds.choice("local", "redis", "null"), "local")
    memory_redis_url: str | None = _setting(kinds.redis_url, secret=True)
    memory_context_limit: int = _setting(kinds.integer(0, 10000), 6)
    memory_max_sessions: int = _setting(kinds.integer(1, 10_000_000), 1000)
    memory_max_session_events: int = _setting(kinds.integer(2, 1_000_000), 500)
    memory_ttl_hours: float = _setting(kinds.seconds(0.001, 876_000), 24.0)

    agent_sub_agents: tuple[Peer, ...] = _setting(
        kinds.sub_agents, (), url_variable=_PEER_URL, key_variable=_PEER_KEY
    )
    peer_agents: tuple[Peer, ...] = _setting(kinds.peers, (), url_variable=_PEER_URL, key_variable=_PEER_KEY)
    delegation_max_depth: int = _setting(kinds.integer(1, 100), 5)
    discovery_timeout: float = _setting(kinds.seconds(0.05, 3600), 5.0)
    delegation_timeout: float = _setting(kinds.seconds(0.05, 86400), 60.0)
    mcp_servers: tuple[Peer, ...] = _setting(kinds.peers, (), url_variable="MCP_SERVER_{}_URL")

    a2a_card_version: Literal["0.3", "1.0"] = _setting(kinds.choice("0.3", "1.0"), "1.0")
    agent_api_keys: tuple[ApiKey, ...] = _setting(kinds.api_keys, (), secret=True)
    cors_allow_origins: tuple[str, ...] = _setting(kinds.origins, ())
    max_request_bytes: int = _setting(kinds.integer(1024, 1 << 30), 10_485_760)
    max_concurrent_runs: int = _setting(kinds.integer(1, 100_000), 256)
    run_timeout: float = _setting(kinds.seconds(0.1, 86400), 300.0)
    sse_keepalive_seconds: float = _setting(kinds.seconds(0.05, 3600), 15.0)
    shutdown_grace_seconds: float = _setting(kinds.seconds(0, 3600), 25.0)
    on_disconnect: Literal["cancel", "continue"] = _setting(kinds.choice("cancel", "continue"), "cancel")
    session_policy: Literal["queue", "reject", "allow"] = _setting(
        kinds.choice("queue", "reject", "allow"), "queue"
    )
    run_ttl_minutes: float = _setting(kinds.seconds(0.01, 1_000_000), 60.0)

    log_level: str = _setting(
        kinds.choice(*_LOG_LEVELS, fold=str.upper), "INFO", env=("AGENT_LOG_LEVEL", "LOG_LEVEL")
    )
    log_format: Literal["text", "json"] = _setting(kinds.choice("text", "json"), "text")
    agent_access_log: bool = _setting(kinds.boolean, False)
    console: bool = _setting(kinds.boolean, True)

    otel_enabled: bool = _setting(kinds.boolean, False)
    # Those of the environment, by name: OpenTelemetry reads, checks and explains them itself.
    otel_variables: tuple[tuple[str, str], ...] = _setting(kinds.variables, ())

    @classmethod
    def load(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        env_file: Path | None = Path(".env"),
        agent: str | None = None,
        agents: Collection[str] | None = (),
        **overrides: object,
    ) -> Self:
        """Read `environ` (the process's by default), then `env_file` for what it does not set, then the overrides.

        Overrides are named like the fields and win; they may be Python values or the texts that a variable would
        hold. An empty variable counts as unset.

        Where several `agents` share the process, a peer of that name needs no URL, and the settings of one, `agent`,
        have its own variables in front of those of all. `None` says that there may be agents, not known yet.

        Raises:
            ConfigurationError: naming each wrong variable, its value unless that is a secret, and what was expected.
        """
        environ = os.environ if environ is None else environ
        values = {**_read_env_file(env_file), **{name: value for name, value in environ.items() if value}}
        overrides.setdefault("otel_variables", _open_telemetry(values))
        fields = {field.name: field for field in dataclasses.fields(cls)}
        complaints = [f"there is no setting {name!r}" for name in overrides if name not in fields]
        if agent is None:
            complaints += [*check_names(agents or ()), *strangers(values, agents or (), fields)]
        found: dict[str, object] = {}
        for field in fields.values():
            source, value = _look_up(field, values, overrides, maybe_prefix(agent))
            if value is None:
                continue
            try:
                parsed = field.metadata["parse"](value)
                if (template := field.metadata["url_variable"]) is not None:
                    key_template = field.metadata["key_variable"]
                    parsed, missing = complete_peers(
                        source,
                        parsed,
                        values,
                        template,
                        key_template,
                        here=agents if field.name == "peer_agents" else (),
                    )
                    complaints += missing
                found[field.name] = parsed
            except Unfit as exc:
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
    field: "dataclasses.Field[Any]", values: Mapping[str, str], overrides: Mapping[str, object], prefix: str
) -> tuple[str, object]:
    """Return where the field's value comes from and that value, `None` where nothing sets it."""
    if overrides.get(field.name) is not None:
        return field.name, overrides[field.name]
    names = field.metadata["env"] or (field.name.upper(),)
    own = [f"{prefix}{name}" for name in names] if prefix and field.name in AGENTS_OWN else []
    for name in (*own, *names):
        if name in values:
            return name, values[name]
    return field.name, None
