"""Servers in this process, on mock models, configured by the test alone."""

from typing import Any

from pydantic_ai import Agent as PydanticAgent

from pais_lite import AgentServer, Settings


def mock_server(
    *says: Any,
    agent: PydanticAgent[Any, Any] | None = None,
    environ: dict[str, str] | None = None,
    **settings: Any,
) -> AgentServer:
    """Return a server whose model says what it is told to."""
    given = {name: settings.pop(name) for name in ("sub_agents", "mcp_servers") if name in settings}
    loaded = Settings.load(environ or {}, env_file=None, debug_mock_responses=list(says), **settings)
    return AgentServer.serving(agent or PydanticAgent(name="mock"), loaded, **given)
