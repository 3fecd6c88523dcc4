"""Finds the agents that files define, and makes the server around them."""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic_ai import Agent as PydanticAgent

from pais_lite.errors import ConfigurationError
from pais_lite.server import AgentServer, SettingsOfSeveral, usable_name
from pais_lite.settings import Settings

__all__ = ["DEFAULT_FILE", "find_agent", "find_agents", "make_server", "target_file"]

DEFAULT_FILE = Path("server.py")


def target_file(target: str | None) -> tuple[Path | None, str | None]:
    """Split `FILE[:ATTR]`; the file is `None` where the default one is not there.

    Raises:
        ConfigurationError: a file that was asked for is not there.
    """
    if target is None:
        return (DEFAULT_FILE, None) if DEFAULT_FILE.is_file() else (None, None)
    name, colon, attribute = target.rpartition(":")
    if not colon:
        name, attribute = target, ""
    path = Path(name)
    if not path.is_file():
        raise ConfigurationError(f"there is no file {name}")
    return path, attribute or None


def find_agent(
    path: Path | None, attribute: str | None, settings: Settings
) -> PydanticAgent[Any, Any] | AgentServer:
    """Return the one agent, or the one server around an agent, that the file defines at its top level.

    Without a file, the agent is made from the settings alone.

    Raises:
        ConfigurationError: the file raised while it was imported, or does not say which agent to serve.
    """
    if path is None:
        return PydanticAgent(name=settings.agent_name or "agent", instructions=settings.agent_instructions)
    module = _import(path)
    if attribute is not None:
        found = getattr(module, attribute, None)
        if isinstance(found, PydanticAgent | AgentServer):
            return found
        raise ConfigurationError(f"{path} has no agent named {attribute}")
    names: dict[int, str] = {}
    for name, value in vars(module).items():
        if isinstance(value, PydanticAgent | AgentServer):
            names.setdefault(id(value), name)
    servers = [name for name in names.values() if isinstance(getattr(module, name), AgentServer)]
    # A file that wraps its agent itself defines both; the wrapped one is what it wants served.
    candidates = servers or list(names.values())
    if not candidates:
        raise ConfigurationError(f"{path} defines no pydantic_ai.Agent at its top level")
    if len(candidates) > 1:
        raise ConfigurationError(
            f"{path} defines several agents ({', '.join(candidates)}); say which: pais run {path}:{candidates[0]}"
        )
    chosen: PydanticAgent[Any, Any] | AgentServer = getattr(module, candidates[0])
    return chosen


def find_agents(targets: Sequence[str]) -> dict[str, PydanticAgent[Any, Any]]:
    """Return the agents that several `FILE[:ATTR]` name, by their own names, or else those of their files.

    Raises:
        ConfigurationError: as for `find_agent`; or two have the same name; or one is a server already.
    """
    found: dict[str, PydanticAgent[Any, Any]] = {}
    for target in targets:
        path, attribute = target_file(target)
        agent = find_agent(path, attribute, Settings())
        if isinstance(agent, AgentServer):
            raise ConfigurationError(
                f"{target} makes a server of its agent itself; among several, name the agent: {path}:…"
            )
        name = usable_name(agent.name or (path.stem if path else None))
        if name in found:
            raise ConfigurationError(
                f"{target}: there is another agent called {name!r}; each needs its own name"
            )
        found[name] = agent
    return found


def make_server(
    targets: Sequence[str],
    settings: Settings,
    change: Callable[[Settings], Settings] = lambda settings: settings,
    **overrides: Any,
) -> AgentServer:
    """Return the server of what the targets name, `settings` having been read without knowing which agents those are.

    `change` is made to the settings of each agent; `overrides` are those that `settings` were read with.

    Raises:
        ConfigurationError: an agent cannot be found or served.
    """
    if len(targets) > 1:
        agents = find_agents(targets)
        return AgentServer.serving_several(
            agents, SettingsOfSeveral.load(list(agents), **overrides).changed(change)
        )
    path, attribute = target_file(targets[0] if targets else None)
    found = find_agent(path, attribute, settings)
    return found if isinstance(found, AgentServer) else AgentServer.serving(found, change(settings))


def _import(path: Path) -> ModuleType:
    # What the file imports from beside itself is found, as with `python FILE`.
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        if isinstance(exc, SyntaxError):
            raise ConfigurationError(f"{path}:{exc.lineno}: {exc.msg}") from exc
        lines = [
            frame.lineno for frame in traceback.extract_tb(exc.__traceback__) if frame.filename == spec.origin
        ]
        where = f"{path}:{lines[-1]}" if lines else str(path)
        raise ConfigurationError(f"{where}: {type(exc).__name__}: {exc}") from exc
    return module
