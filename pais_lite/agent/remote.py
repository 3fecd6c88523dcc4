"""What an agent has beside its own tools: other agents, and the tools of MCP servers. Both live as long as it does."""

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset

from pais_lite.agent.neighbours import Neighbour, Neighbours
from pais_lite.delegation import DelegationToolset, HttpClient, RemoteAgent, SubAgent
from pais_lite.errors import ConfigurationError
from pais_lite.mcp import McpTools, mcp_toolset
from pais_lite.peers import Peer
from pais_lite.settings import Settings

__all__ = ["RemoteTools"]


class RemoteTools:
    """The sub-agents and MCP servers of one agent. Arguments win over the settings; a name is a neighbour's.

    Raises:
        ConfigurationError: two of them, or one and a tool of the agent's own, would be tools of the same name; a
            neighbour is not there; or MCP is asked for and not installed.
    """

    def __init__(
        self,
        agent: PydanticAgent[Any, Any],
        settings: Settings,
        sub_agents: Sequence[SubAgent | str] | None = None,
        mcp_servers: Sequence[AbstractToolset[Any] | str] | None = None,
        neighbours: Neighbours | None = None,
    ) -> None:
        agents = _agents_of(settings, sub_agents, neighbours)
        self.sub_agents: Sequence[SubAgent] = agents
        if mcp_servers is None:
            servers = {peer.name: mcp_toolset(peer.url, peer.name) for peer in settings.mcp_servers}
        else:
            servers = dict(_named(server, place) for place, server in enumerate(mcp_servers, 1))
        self._delegation = DelegationToolset(agents) if agents else None
        delegating = self._delegation.agents.keys() if self._delegation is not None else set[str]()
        own = _tools_of(agent)
        if clashes := sorted(own & delegating):
            raise ConfigurationError(
                f"the agent has a tool {clashes[0]!r} of its own, and a sub-agent would be a tool of the same name"
            )
        self._mcp = McpTools(servers, reserved=own | delegating) if servers else None
        parts: list[AbstractToolset[Any] | None] = [self._mcp, self._delegation]
        self.toolsets: Sequence[AbstractToolset[Any]] | None = [part for part in parts if part] or None

    def watch(self) -> None:
        """Begin to look for the agents and to connect to the servers, in the background."""
        if self._delegation is not None:
            self._delegation.watch()
        if self._mcp is not None:
            self._mcp.watch()

    async def first_look(self) -> None:
        """Wait until all have been looked for once, found or not."""
        looks = [part.first_look() for part in (self._delegation, self._mcp) if part is not None]
        await asyncio.gather(*looks)

    def version(self) -> object:
        """Return something that is different when there are different tools."""
        agents = self._delegation.reachable if self._delegation is not None else None
        return agents, self._mcp.version if self._mcp is not None else None

    async def aclose(self) -> None:
        """Close all connections; what was looked for in the background no longer is."""
        closing = [part.aclose() for part in (self._delegation, self._mcp) if part is not None]
        await asyncio.gather(*closing)


def _agents_of(
    settings: Settings, given: Sequence[SubAgent | str] | None, neighbours: Neighbours | None
) -> list[SubAgent]:
    http_client = HttpClient()

    def neighbour(name: str) -> SubAgent:
        if neighbours is None or name not in neighbours.names:
            raise ConfigurationError(f"sub-agents: there is no agent {name!r} in this process")
        return Neighbour(name, neighbours, timeout=settings.delegation_timeout)

    def remote(peer: Peer) -> SubAgent:
        return RemoteAgent(
            peer.name,
            peer.url,
            api_key=peer.api_key,
            discovery_timeout=settings.discovery_timeout,
            timeout=settings.delegation_timeout,
            http_client=http_client,
        )

    if given is not None:
        return [neighbour(agent) if isinstance(agent, str) else agent for agent in given]
    return [
        remote(peer) if peer.url else neighbour(peer.name)
        for peer in settings.sub_agents
        # What names all neighbours for all of them names each one for itself as well.
        if peer.url or peer.name != settings.agent_name
    ]


def _named(server: AbstractToolset[Any] | str, place: int) -> tuple[str, AbstractToolset[Any]]:
    name = f"mcp-{place}"
    return name, mcp_toolset(server, name) if isinstance(server, str) else server


def _tools_of(agent: PydanticAgent[Any, Any]) -> set[str]:
    """Return the names of the tools that are functions; what other toolsets have, only a run finds out."""
    found = (toolset.tools for toolset in agent.toolsets if isinstance(toolset, FunctionToolset))
    return {name for tools in found for name in tools}
