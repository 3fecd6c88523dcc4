"""The arguments of one call, while they are filled in."""

from collections.abc import Iterable
from typing import Any

from pydantic_ai.tools import ToolDefinition

from pais_lite.models.string_mode.small.candidates import Candidates
from pais_lite.models.string_mode.small.parameters import Parameter, parameters_of
from pais_lite.models.string_mode.small.values import Span
from pais_lite.models.string_mode.small.words import words

__all__ = ["Filling"]


class Filling:
    """What is filled in and what is not: parameters that are `open`, and spans of the message that are `taken`."""

    def __init__(self, message: str, tool: ToolDefinition) -> None:
        self.message = message
        self.tool = tool
        self.parameters = parameters_of(tool)
        of_the_tool = [*words(tool.name), *words(tool.description or "")]
        self.candidates = Candidates(
            message, [*of_the_tool, *(word for one in self.parameters for word in one.words)]
        )
        self.taken: list[Span] = []
        self.open = list(self.parameters)
        self.arguments: dict[str, Any] = {}

    def give(self, parameter: Parameter, value: Any, *taken: Span) -> None:
        """Give a parameter its value, and take what of the message that is."""
        self.taken.extend(taken)
        self.open.remove(parameter)
        node = self.arguments
        for step in parameter.path[:-1]:
            node = node.setdefault(step, {})
        node[parameter.path[-1]] = value

    def unfilled(self, *kinds: str) -> list[Parameter]:
        """Return what is still open of some kinds, required parameters first."""
        return sorted((one for one in self.open if one.kind in kinds), key=lambda one: not one.required)

    def free(self, candidates: Iterable[Span]) -> list[Span]:
        """Return the spans that nothing has been taken of."""
        return [span for span in candidates if not span.overlaps(self.taken)]
