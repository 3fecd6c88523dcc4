"""The tools of all MCP servers of an agent, as one toolset."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool

from pais_lite.deps import AgentDeps
from pais_lite.errors import ConfigurationError
from pais_lite.mcp.connection import McpConnection

__all__ = ["McpTools", "mcp_toolset"]

_log = logging.getLogger("pais_lite.mcp")


def mcp_toolset(url: str, name: str) -> AbstractToolset[Any]:
    """Return Pydantic AI's toolset for the server at `url`, to which `/mcp` is added where it has no path.

    Raises:
        ConfigurationError: the extra `mcp` is not installed.
    """
    try:
        from pydantic_ai.mcp import MCPToolset
    except ImportError as exc:
        raise ConfigurationError("MCP servers need the extra `mcp`: pip install 'pais-lite[mcp]'") from exc
    scheme, _, rest = url.rstrip("/").partition("://")
    return MCPToolset(f"{scheme}://{rest}" if "/" in rest else f"{scheme}://{rest}/mcp", id=name)


class McpTools(AbstractToolset[Any]):
    """The tools of the servers that are there, in the order of the servers.

    A server that is away is left out, and looked for in the background. Of tools of the same name, the first counts;
    `reserved` are the names that the agent uses itself.
    """

    def __init__(
        self, servers: Mapping[str, AbstractToolset[Any]], reserved: Collection[str] = frozenset()
    ) -> None:
        self.connections = [McpConnection(name, toolset) for name, toolset in servers.items()]
        self._reserved = frozenset(reserved)
        self._warned: set[tuple[str, str]] = set()

    @property
    def id(self) -> str | None:
        """The name of the toolset among those of an agent."""
        return "mcp"

    @property
    def version(self) -> object:
        """Something that is different when the tools may be."""
        return tuple(connection.changes for connection in self.connections)

    def watch(self) -> None:
        """Connect in the background where there is no connection."""
        for connection in self.connections:
            connection.watch()

    async def first_look(self) -> None:
        """Wait until connecting to each was tried once, with whatever success."""
        self.watch()
        untried = [connection for connection in self.connections if not connection.was_attempted]
        if untried:
            await asyncio.gather(*(connection.first_attempt() for connection in untried))

    async def for_run(self, ctx: RunContext[Any]) -> AbstractToolset[Any]:
        """Return the tools of one run; only the very first one waits for servers, and not for long."""
        if isinstance(ctx.deps, AgentDeps) and ctx.deps.delegation.inspecting:
            self.watch()
        else:
            await self.first_look()
        return _ToolsOfRun(self)

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """Return the tools of the servers that are there."""
        listed = await asyncio.gather(*(connection.tools(ctx) for connection in self.connections))
        found: dict[str, ToolsetTool[Any]] = {}
        for connection, tools in zip(self.connections, listed, strict=True):
            for name, tool in tools.items():
                if name in found or name in self._reserved:
                    self._warn(connection, name)
                else:
                    found[name] = replace(tool, toolset=_Server(connection, tool))
        return found

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        """Call a tool that `get_tools` returned."""
        return await tool.toolset.call_tool(name, tool_args, ctx, tool)

    async def aclose(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(connection.aclose() for connection in self.connections))

    def _warn(self, connection: McpConnection, name: str) -> None:
        if (connection.name, name) not in self._warned:
            self._warned.add((connection.name, name))
            _log.warning(
                "MCP server %s: there is another tool %r, so this one is left out", connection.name, name
            )


class _ToolsOfRun(AbstractToolset[Any]):
    """The tools as a run saw them first: a model that was shown a tool may call it, whatever became of its server."""

    def __init__(self, toolset: McpTools) -> None:
        self._toolset = toolset
        self._seen: dict[str, ToolsetTool[Any]] = {}

    @property
    def id(self) -> str | None:
        return self._toolset.id

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        self._seen |= await self._toolset.get_tools(ctx)
        return dict(self._seen)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        return await self._toolset.call_tool(name, tool_args, ctx, tool)


class _Server(AbstractToolset[Any]):
    """Where the calls of one tool go: to its server, by the connection that there is by then."""

    def __init__(self, connection: McpConnection, tool: ToolsetTool[Any]) -> None:
        self._connection = connection
        self._tool = tool

    @property
    def id(self) -> str | None:
        return self._connection.name

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        return {self._tool.tool_def.name: self._tool}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        return await self._connection.call(name, tool_args, ctx, self._tool)
