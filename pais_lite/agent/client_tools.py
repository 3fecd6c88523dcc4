"""The client's tools in a run of the agent: offered to the model beside the agent's own, and called where they must be."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import ExternalToolset

from pais_lite.agent.request import ClientTool, ToolChoice
from pais_lite.errors import InvalidRequest

__all__ = ["NAME_CLASH", "CalledTools", "ClientToolset", "check_names", "name_clash", "offered"]

# What Pydantic AI calls the tool by which a model gives a structured answer.
_OUTPUT_TOOL = "final_result"
# Part of what Pydantic AI raises on a clash, which makes it known as ours.
NAME_CLASH = "A tool of the client has to have another name than those of the agent."


def offered(tools: Sequence[ClientTool], choice: ToolChoice) -> list[ClientTool]:
    """Return the tools of the client that the model may call."""
    if choice.mode == "none":
        return []
    return [tool for tool in tools if choice.names is None or tool.name in choice.names]


def check_names(tools: Sequence[ClientTool], own: Collection[str]) -> None:
    """Return when no tool has a name that the agent's `own` tools have.

    Raises:
        InvalidRequest: one has.
    """
    for tool in tools:
        if tool.name in own or tool.name == _OUTPUT_TOOL:
            raise name_clash(tool.name)


def name_clash(name: str | None = None) -> InvalidRequest:
    """Return the error for a tool that has the name of one of the agent's own."""
    which = "one of the tools" if name is None else f"the tool {name!r}"
    return InvalidRequest(
        f"tools: {which} has the name of one that the agent has itself", param="tools", code="tool_name_clash"
    )


class ClientToolset(ExternalToolset[Any]):
    """Pydantic AI's external tools, made of what a client sent along."""

    def __init__(self, tools: Sequence[ClientTool]) -> None:
        super().__init__(
            [
                ToolDefinition(
                    name=tool.name,
                    description=tool.description,
                    parameters_json_schema=dict(tool.parameters),
                    strict=tool.strict,
                )
                for tool in tools
            ],
            id="client",
        )

    @property
    def tool_name_conflict_hint(self) -> str:
        """What an error about a name that is there twice says at its end."""
        return NAME_CLASH


class CalledTools(AbstractCapability[Any]):
    """Has the model call a tool in every step, and one of `names` in the last that it may take.

    With `only`, it is one of `names` from the first. The run ends when one of these is called, for they are the client's.
    """

    def __init__(self, names: Sequence[str], *, only: bool, max_steps: int) -> None:
        self._names = list(names)
        self._only = only
        self._max_steps = max_steps

    def get_model_settings(self) -> Callable[[RunContext[Any]], ModelSettings]:
        """Return the settings of each step."""

        def settings(ctx: RunContext[Any]) -> ModelSettings:
            last = ctx.run_step >= self._max_steps
            return ModelSettings(tool_choice=list(self._names) if self._only or last else "required")

        return settings
