"""Settings of one agent among several of a process: `{NAME}__{VARIABLE}` sets a variable for that agent alone.

A name is spelled as shells can: `my-agent` has `MY_AGENT__MODEL_NAME`. In code, an override is spelled in the same way
in lower case: `my_agent__model_name`.
"""

import re
from collections.abc import Collection, Iterator, Mapping

__all__ = ["AGENTS_OWN", "check_names", "maybe_prefix", "own_overrides", "strangers"]

# What each agent may have a value of its own for. All else belongs to the one server around them.
AGENTS_OWN = frozenset(
    {
        "agent_description",
        "agentic_loop_max_steps",
        "model_api_url",
        "model_name",
        "model_api_key",
        "model_timeout",
        "tool_call_mode",
        "debug_mock_responses",
        "memory_enabled",
        "memory_type",
        "memory_redis_url",
        "memory_context_limit",
        "memory_max_sessions",
        "memory_max_session_events",
        "memory_ttl_hours",
        "agent_sub_agents",
        "peer_agents",
        "delegation_max_depth",
        "discovery_timeout",
        "delegation_timeout",
        "mcp_servers",
        "run_timeout",
        "run_ttl_minutes",
        "session_policy",
    }
)
_SEPARATOR = "__"


def maybe_prefix(agent: str | None) -> str:
    """Return what the variables of an agent begin with; nothing where there is one agent, and so no name in front."""
    return f"{_spelled(agent).upper()}{_SEPARATOR}" if agent is not None else ""


def check_names(agents: Collection[str]) -> Iterator[str]:
    """Yield complaints about agents whose variables could not be told apart."""
    seen: dict[str, str] = {}
    for agent in agents:
        other = seen.setdefault(maybe_prefix(agent), agent)
        if other != agent:
            yield f"the agents {other!r} and {agent!r} would have the same variables, {maybe_prefix(agent)}…"


def strangers(values: Mapping[str, str], agents: Collection[str], known: Collection[str]) -> Iterator[str]:
    """Yield complaints about variables that name one of the agents and then what is not theirs to set.

    `known` are the names of all settings.
    """
    for name in values:
        for agent in agents:
            prefix = maybe_prefix(agent)
            setting = name.removeprefix(prefix)
            if name.startswith(prefix) and setting.lower() not in AGENTS_OWN:
                yield (
                    f"{name}: there is one {setting} for all agents of a server"
                    if setting.lower() in known
                    else f"{name}: there is no setting {setting}"
                )


def own_overrides(
    overrides: Mapping[str, object], agents: Collection[str]
) -> tuple[dict[str, object], dict[str, dict[str, object]]]:
    """Divide overrides into those of all agents, and those of each one."""
    common: dict[str, object] = {}
    own: dict[str, dict[str, object]] = {agent: {} for agent in agents}
    prefixes = {maybe_prefix(agent).lower(): agent for agent in agents}
    for name, value in overrides.items():
        prefix, separator, setting = name.partition(_SEPARATOR)
        agent = prefixes.get(prefix.lower() + separator)
        if agent is not None and setting in AGENTS_OWN:
            own[agent][setting] = value
        else:
            common[name] = value
    return common, own


def _spelled(agent: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", agent)
