"""Several agents behind one door: their settings, and what belongs to each of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic_ai import Agent as PydanticAgent

from pais_lite.errors import ConfigurationError
from pais_lite.settings import Settings
from pais_lite.settings.agents_own import own_overrides

__all__ = ["SettingsOfSeveral", "each_of"]


@dataclass(frozen=True, slots=True)
class SettingsOfSeveral:
    """The settings of a server, and those of each of its agents, by name in the order in which they were given."""

    server: Settings
    each: Mapping[str, Settings]

    @classmethod
    def load(
        cls,
        names: Sequence[str],
        environ: Mapping[str, str] | None = None,
        *,
        env_file: Path | None = Path(".env"),
        **overrides: object,
    ) -> Self:
        """Read them as `Settings.load` does; variables and overrides of one agent alone have its name in front.

        Raises:
            ConfigurationError: a setting is wrong, or a name, or `AGENT_NAME` is set.
        """
        if not names:
            raise ConfigurationError("there is no agent to serve")
        common, own = own_overrides(overrides, names)

        def load(agent: str | None, values: dict[str, Any]) -> Settings:
            return Settings.load(environ, env_file=env_file, agent=agent, agents=names, **values)

        server = load(None, common)
        if server.agent_name is not None:
            raise ConfigurationError(
                f"AGENT_NAME: {server.agent_name!r} cannot be the name of several agents; "
                f"theirs are {', '.join(names)}"
            )
        each = {name: load(name, {**common, **own[name], "agent_name": name}) for name in names}
        return cls(server, each)

    def changed(self, change: Callable[[Settings], Settings]) -> Self:
        """Return all of them with a change."""
        return type(self)(change(self.server), {name: change(own) for name, own in self.each.items()})


def each_of(agents: Mapping[str, PydanticAgent[Any, Any]], what: str, given: object) -> dict[str, Any]:
    """Return what was given for each agent by its name, as `what` of `serve`; nothing for those left out.

    Raises:
        ConfigurationError: it is no mapping, or one of its names is no agent's.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{what}: with several agents this has to be a mapping from their names")
    for name in given:
        if name not in agents:
            raise ConfigurationError(f"{what}: there is no agent {name!r}; there are {', '.join(agents)}")
    return dict(given)
