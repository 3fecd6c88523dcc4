"""Tools of MCP servers, through Pydantic AI's own MCP toolset, held open for the life of the process."""

from pais_lite.mcp.toolset import McpTools, mcp_toolset

__all__ = ["McpTools", "mcp_toolset"]
