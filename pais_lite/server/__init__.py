"""The ASGI callable around agents, and what it is made of: what belongs to one agent, the guards, and the lifetime."""

from pais_lite.server.server import AgentServer, serve

__all__ = ["AgentServer", "serve"]
