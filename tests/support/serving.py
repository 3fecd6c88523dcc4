"""Servers in this process, on mock models, configured by the test alone."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from pydantic_ai import Agent as PydanticAgent

from pais_lite import AgentServer, Settings
from pais_lite.delegation import SubAgent
from pais_lite.server.several import SettingsOfSeveral
from pais_lite.telemetry import Telemetry


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


def mock_agents(
    says: Mapping[str, Sequence[Any]],
    environ: Mapping[str, str] | None = None,
    *,
    sub_agents: Mapping[str, Sequence[SubAgent | str]] | None = None,
    telemetry: Telemetry | None = None,
    **settings: Any,
) -> AgentServer:
    """Return a server with an agent for each name, whose models say what they are told to."""
    own = {f"{name.replace('-', '_')}__debug_mock_responses": list(script) for name, script in says.items()}
    loaded = SettingsOfSeveral.load(list(says), environ or {}, env_file=None, **{**own, **settings})
    agents = {name: PydanticAgent(description=f"The {name} here.") for name in says}
    return AgentServer.serving_several(agents, loaded, sub_agents=sub_agents, telemetry=telemetry)


@asynccontextmanager
async def listening(make: Callable[[str], Any]) -> AsyncIterator[str]:
    """Serve an ASGI application, made for its URL, on a loopback port of this process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(make(url), log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve([listener]))
        try:
            yield url
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, 10)
