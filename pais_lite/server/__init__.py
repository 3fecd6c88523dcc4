"""The ASGI callable around agents, and what it is made of: what belongs to one agent, the guards, and the lifetime."""

from pais_lite.server.served_agent import ServedAgent, usable_name
from pais_lite.server.server import AgentServer, serve
from pais_lite.server.several import SettingsOfSeveral

__all__ = ["AgentServer", "ServedAgent", "SettingsOfSeveral", "serve", "usable_name"]
