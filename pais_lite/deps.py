"""What a tool sees of the run that it works for."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pais_lite.events import Usage
from pais_lite.memory import Memory, MemoryEvent

__all__ = ["AgentDeps", "DelegationScope"]


@dataclass(kw_only=True)
class DelegationScope:
    """What a run gives to those whom it delegates to, and what it may.

    `agent` is the run's own agent, `chain` the agents that handed the task down to it, `context` what was said so far,
    `deadline` the moment, by the clock of the event loop, at which the run
    has to be over. `targets` are the tools that are other agents, by tool name, and `usage` is what those have used so
    far, however they ended; the toolset fills both in. With
    `inspecting`, only the definitions of the tools are wanted.
    """

    agent: str = ""
    chain: tuple[str, ...] = ()
    max_depth: int = 5
    context: Sequence[MemoryEvent] = ()
    deadline: float | None = None
    stream: bool = True
    inspecting: bool = False
    targets: dict[str, str] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)


@dataclass
class AgentDeps:
    """`ctx.deps` of every run: the session that is being answered, and the memory of its owner.

    An agent may declare a subclass as its `deps_type`; fields that it adds need defaults. `delegation` is what a
    `DelegationToolset` works with.
    """

    session_id: str
    memory: Memory
    delegation: DelegationScope = field(
        default_factory=DelegationScope, kw_only=True, repr=False, compare=False
    )
