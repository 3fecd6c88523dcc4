"""Which tools the model sees. Only a run knows: tools may be prepared, filtered and fetched while it begins."""

import asyncio
import logging
from time import monotonic
from typing import Any

from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.tools import ToolDefinition

from pais_lite.deps import AgentDeps
from pais_lite.telemetry import untraced

__all__ = ["ToolInspector"]

_log = logging.getLogger("pais_lite.agent")

# A tool list changes when a server behind it does; asking again costs the start of a run.
_FRESH_SECONDS = 30.0
_INSPECTION_TIMEOUT = 5.0


class _Seen(Exception):
    """Ends the inspecting run once the model has been shown its tools."""


class ToolInspector:
    """Finds out the tools of an agent by beginning a run whose model only looks, and remembers them for a while."""

    def __init__(self, agent: PydanticAgent[Any, Any], deps: AgentDeps) -> None:
        self._agent = agent
        self._deps = deps
        self._lock = asyncio.Lock()
        self._tools: list[ToolDefinition] = []
        self._fresh_until = 0.0

    async def tools(self) -> list[ToolDefinition]:
        """Return the function tools, in the order in which the model sees them.

        An agent whose run cannot even begin keeps the list that was seen last, and leaves a line in the log.
        """
        async with self._lock:
            if monotonic() >= self._fresh_until:
                await self._look()
                self._fresh_until = monotonic() + _FRESH_SECONDS
            return self._tools

    async def _look(self) -> None:
        async def look(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            self._tools = list(info.function_tools)
            raise _Seen

        try:
            async with asyncio.timeout(_INSPECTION_TIMEOUT):
                # Nobody asked for this run, so no trace shall tell of it.
                with untraced():
                    await self._agent.run("", model=FunctionModel(look), deps=self._deps, infer_name=False)
        except _Seen:
            pass
        except Exception as exc:  # noqa: BLE001 - the user's instructions and toolsets may raise anything
            _log.warning("the agent's tools could not be listed: %r", exc)
