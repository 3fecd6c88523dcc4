"""What a tool sees of the run that it works for."""

from dataclasses import dataclass

from pais_lite.memory import Memory

__all__ = ["AgentDeps"]


@dataclass
class AgentDeps:
    """`ctx.deps` of every run: the session that is being answered, and the memory of its owner.

    An agent may declare a subclass as its `deps_type`; fields that it adds need defaults.
    """

    session_id: str
    memory: Memory
