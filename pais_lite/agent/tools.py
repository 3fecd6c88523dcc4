"""Which tools the model sees. Only a run knows: tools may be prepared, filtered and fetched while it begins."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, FunctionToolset

from pais_lite.deps import AgentDeps
from pais_lite.telemetry import untraced

__all__ = ["ToolInspector", "needs_approval"]

_log = logging.getLogger("pais_lite.agent")

# A tool list changes when a server behind it does; asking again costs the start of a run.
_FRESH_SECONDS = 30.0
_INSPECTION_TIMEOUT = 5.0


def needs_approval(agent: PydanticAgent[Any, Any], name: str) -> bool:
    """Return whether a function of the agent declares that it needs approval. Others ask for it when they are called."""
    return any(
        isinstance(toolset, FunctionToolset)
        and (tool := toolset.tools.get(name)) is not None
        and tool.requires_approval
        for toolset in agent.toolsets
    )


class _Seen(Exception):
    """Ends the inspecting run once the model has been shown its tools."""


class ToolInspector:
    """Finds out the tools of an agent by beginning a run whose model only looks, and remembers them for a while."""

    def __init__(
        self,
        agent: PydanticAgent[Any, Any],
        deps: AgentDeps,
        toolsets: Sequence[AbstractToolset[Any]] | None,
        version: Callable[[], object],
    ) -> None:
        self._agent = agent
        self._deps = deps
        self._toolsets = toolsets
        self._version = version
        self._looking: asyncio.Task[None] | None = None
        self._tools: list[ToolDefinition] = []
        self._seen_version: object = None
        self._fresh_until = 0.0

    async def tools(self, *, patience: float = _INSPECTION_TIMEOUT) -> list[ToolDefinition]:
        """Return the function tools, in the order in which the model sees them.

        An agent whose run cannot even begin keeps the list that was seen last, and leaves a line in the log. So does
        one whose run takes longer to begin than `patience`; the look goes on, for those who ask next.
        """
        # Twice at most: a look that is under way may have begun before the tools became others.
        for _ in range(2):
            if monotonic() < self._fresh_until and self._seen_version == self._version():
                break
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            await asyncio.wait([self._looking], timeout=patience)
        return self._tools

    async def aclose(self) -> None:
        """End a look that is under way."""
        if self._looking is not None and not self._looking.done():
            self._looking.cancel()
            await asyncio.wait([self._looking])

    async def _look(self) -> None:
        async def look(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self._tools = list(info.function_tools)
            raise _Seen

        version = self._version()
        try:
            async with asyncio.timeout(_INSPECTION_TIMEOUT):
                # Nobody asked for this run, so no trace shall tell of it.
                with untraced():
                    await self._agent.run(
                        "",
                        model=FunctionModel(look),
                        deps=self._deps,
                        toolsets=self._toolsets,
                        infer_name=False,
                    )
        except _Seen:
            pass
        except Exception as exc:  # noqa: BLE001 - the user's instructions and toolsets may raise anything
            _log.warning("the agent's tools could not be listed: %r", exc)
        self._seen_version = version
        self._fresh_until = monotonic() + _FRESH_SECONDS
