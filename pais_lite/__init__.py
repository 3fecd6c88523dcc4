"""The thin production server around Pydantic AI agents."""

from pais_lite.agent import Agent
from pais_lite.delegation import DelegationToolset, RemoteAgent
from pais_lite.deps import AgentDeps
from pais_lite.memory import LocalMemory, Memory, MemoryEvent, NullMemory, RedisMemory, SessionMemory
from pais_lite.server import AgentServer, serve
from pais_lite.settings import Settings

__all__ = [
    "Agent",
    "AgentDeps",
    "AgentServer",
    "DelegationToolset",
    "LocalMemory",
    "Memory",
    "MemoryEvent",
    "NullMemory",
    "RedisMemory",
    "RemoteAgent",
    "SessionMemory",
    "Settings",
    "serve",
]
