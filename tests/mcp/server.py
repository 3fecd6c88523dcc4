"""A real MCP server over streamable HTTP, as a process of its own: `python -m tests.mcp.server PORT [TOOL …]`."""

import os
import sys

import uvicorn
from fastmcp import FastMCP
from opentelemetry import trace

server = FastMCP("sums")


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def pid() -> int:
    """Say which process this is."""
    return os.getpid()


def fail() -> str:
    """Fail."""
    raise ValueError("this tool never works")


def trace_id() -> str:
    """Say which trace this call belongs to."""
    return trace.format_trace_id(trace.get_current_span().get_span_context().trace_id)


def delegate_to_add(task: str) -> str:
    """Bear a name that is taken."""
    return task


if __name__ == "__main__":
    for name in sys.argv[2:] or ["add", "pid", "fail"]:
        server.tool(globals()[name])
    uvicorn.run(server.http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="info")
