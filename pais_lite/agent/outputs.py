"""What a run may end in: the agent's own kind of output, or calls that wait for the client."""

from collections.abc import Sequence
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import DeferredToolRequests
from pydantic_ai.toolsets import FunctionToolset

__all__ = ["OutputTypes"]


class OutputTypes:
    """The output types of one agent's runs.

    Pydantic AI gives an agent with output validators no other types than its own, which only a run finds out:
    `keep_own` is to be called then. Such an agent hands out calls if it has `DeferredToolRequests` among them.
    """

    def __init__(self, agent: PydanticAgent[Any, Any]) -> None:
        self._agent = agent
        declared: Any = agent.output_type
        own = list(declared) if isinstance(declared, Sequence) else [declared]
        others = [kind for kind in own if kind is not DeferredToolRequests]
        self.is_text = others == [str]
        self.hands_out_calls = True
        self._declares_calls = len(others) < len(own)
        self._types: list[Any] | None = None if self._declares_calls else [*own, DeferredToolRequests]

    def for_run(self, *, more_tools: bool) -> list[Any] | None:
        """Return what to give to a run as `output_type`; `more_tools` says that it has others than the agent's own.

        Pydantic AI makes a schema of what it is given anew in each run, which costs one with a structured output half
        as much again. No call can wait in a run without tools, so that one keeps what the agent has.
        """
        if self.is_text or more_tools or self._has_tools():
            return self._types
        return None

    def keep_own(self) -> bool:
        """Give runs no other types than the agent's own from now on; return whether that is a change."""
        changes, self._types = self._types is not None, None
        self.hands_out_calls = self._declares_calls
        return changes

    def _has_tools(self) -> bool:
        # Asked each time: tools may be added to an agent that is served already.
        return any(
            not isinstance(toolset, FunctionToolset) or toolset.tools for toolset in self._agent.toolsets
        )
