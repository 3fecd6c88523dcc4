"""What an agent remembers of its sessions, behind one interface and three backends."""

from pais_lite.memory.base import CONVERSATION_EVENTS, Memory, MemoryEvent, SessionMemory, SessionPage
from pais_lite.memory.local import LocalMemory
from pais_lite.memory.null import NullMemory

__all__ = [
    "CONVERSATION_EVENTS",
    "LocalMemory",
    "Memory",
    "MemoryEvent",
    "NullMemory",
    "SessionMemory",
    "SessionPage",
]
