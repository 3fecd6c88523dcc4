"""`DelegationToolset`: other agents as tools of a Pydantic AI agent."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_ai import RunContext, ToolReturn
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from pais_lite.delegation.delegation import Delegation
from pais_lite.delegation.profile import AgentProfile
from pais_lite.delegation.sub_agent import SubAgent
from pais_lite.deps import AgentDeps, DelegationScope
from pais_lite.errors import ConfigurationError

__all__ = ["DelegationToolset", "tool_name"]

_PREFIX = "delegate_to_"
# What the APIs of models take as the name of a tool.
_MAX_TOOL_NAME = 64
# Asked again in the same run, an agent that ran out of steps runs out of them again: agents that only ever delegate
# would otherwise multiply their steps with every level.
_FINAL_REASONS = frozenset({"max_steps_exceeded"})
_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "task": {
            "type": "string",
            "description": "The task, with all that the agent has to know; it sees the latest turns of this "
            "conversation, and nothing else.",
        }
    },
    "required": ["task"],
    "additionalProperties": False,
}


_VALIDATOR = SchemaValidator(
    core_schema.typed_dict_schema({"task": core_schema.typed_dict_field(core_schema.str_schema())})
)


def tool_name(agent: str) -> str:
    """Return the name of the tool that delegates to `agent`, with what no name of a tool may hold replaced."""
    return (_PREFIX + re.sub(r"[^A-Za-z0-9_-]", "_", agent))[:_MAX_TOOL_NAME]


class DelegationToolset(AbstractToolset[Any]):
    """A tool `delegate_to_{name}(task)` for each agent that can be reached.

    Which those are is decided when a run begins, and stays for that run. A delegation that fails tells the model so;
    it never fails the run. In a run of this package's `Agent`, what was said so far goes along, and so does the chain
    of agents that the task has come through.

    Raises:
        ConfigurationError: two agents would have tools of the same name.
    """

    def __init__(self, agents: Sequence[SubAgent], *, id: str | None = "delegation") -> None:  # noqa: A002
        self.agents: Mapping[str, SubAgent] = {tool_name(agent.name): agent for agent in agents}
        if len(self.agents) != len(agents):
            names = ", ".join(sorted(agent.name for agent in agents))
            raise ConfigurationError(f"sub-agents: two of {names} would be tools of the same name")
        self._id = id

    @property
    def id(self) -> str | None:
        """The name of the toolset among those of an agent."""
        return self._id

    def watch(self) -> None:
        """Look the agents up in the background, where that is due."""
        for agent in self.agents.values():
            agent.watch()

    async def first_look(self) -> None:
        """Wait until each agent has been looked for once, found or not."""
        self.watch()
        unknown = [agent for agent in self.agents.values() if not agent.was_looked_for]
        if unknown:
            await asyncio.gather(*(agent.first_look() for agent in unknown))

    @property
    def reachable(self) -> dict[str, AgentProfile]:
        """The agents that can be reached, as far as is known, by the names of their tools."""
        return {name: agent.profile for name, agent in self.agents.items() if agent.profile is not None}

    async def for_run(self, ctx: RunContext[Any]) -> AbstractToolset[Any]:
        """Return the tools of one run.

        Only where an agent has never been looked for does that take longer than a moment, and never longer than a
        discovery may.
        """
        scope = ctx.deps.delegation if isinstance(ctx.deps, AgentDeps) else DelegationScope()
        if scope.inspecting:
            self.watch()
        else:
            await self.first_look()
        return _ToolsOfRun(self, scope)

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        """Return the tools as a run that begins now would see them."""
        return await (await self.for_run(ctx)).get_tools(ctx)

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> ToolReturn[str]:
        """Delegate as a run that begins now would."""
        tools = await self.for_run(ctx)
        result: ToolReturn[str] = await tools.call_tool(name, tool_args, ctx, tool)
        return result

    async def aclose(self) -> None:
        """Stop looking for agents and close the connections to them."""
        await asyncio.gather(*(agent.aclose() for agent in self.agents.values()))


class _ToolsOfRun(AbstractToolset[Any]):
    """The agents that could be reached when a run began: its model never sees a tool come or go."""

    def __init__(self, toolset: DelegationToolset, scope: DelegationScope) -> None:
        self._id = toolset.id
        self._agents = toolset.agents
        self._profiles = toolset.reachable
        self._scope = scope
        self._spent: dict[str, str] = {}
        scope.targets.update({name: self._agents[name].name for name in self._profiles})

    @property
    def id(self) -> str | None:
        return self._id

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        return {
            name: ToolsetTool(
                toolset=self,
                tool_def=ToolDefinition(
                    name=name,
                    description=_description(self._agents[name].name, profile),
                    parameters_json_schema=_PARAMETERS,
                ),
                max_retries=ctx.max_retries,
                args_validator=_VALIDATOR,
            )
            for name, profile in self._profiles.items()
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> ToolReturn[str]:
        if name in self._spent:
            return Delegation.not_tried(self._agents[name], self._spent[name])
        delegation = Delegation(self._agents[name], self._profiles[name], self._scope)
        answer = await delegation.perform(tool_args["task"], ctx)
        if delegation.reason in _FINAL_REASONS:
            self._spent[name] = "it ran out of steps before, so it is not asked again"
        return answer


def _description(name: str, profile: AgentProfile) -> str:
    return f"Delegate a task to the agent {name}, and get its answer. {profile.description}".rstrip()
