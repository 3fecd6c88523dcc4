"""The arguments of a call, taken out of a message for a model too small to write them down itself.

What a message spells out is read from it. What is left to choose, the model chooses, but only among runs of the
message's own words. Optional parameters stay out unless the message plainly gives them.
"""

import re
from collections.abc import Sequence
from typing import Any

from pydantic_ai.tools import ToolDefinition

from pais_lite.models.string_mode.small.ask import Asker
from pais_lite.models.string_mode.small.choosing import Chooser
from pais_lite.models.string_mode.small.filling import Filling
from pais_lite.models.string_mode.small.parameters import Parameter
from pais_lite.models.string_mode.small.spelled_out import fill_left_over, fill_spelled_out
from pais_lite.models.string_mode.small.values import Span

__all__ = ["fill_arguments"]

# What stands between the items of a list.
_AND = re.compile(r"\s*(?:[,;&/]\s*)?(?:\b(?:and|or)\b)?\s*", re.IGNORECASE)


async def fill_arguments(asker: Asker, message: str, tool: ToolDefinition) -> dict[str, Any]:
    """Return the arguments for a call of `tool` that `message` gives.

    Raises:
        ModelAPIError: if the endpoint fails.
    """
    filling = Filling(message, tool)
    fill_spelled_out(filling)
    choice = _Choice(filling, Chooser(asker, message, tool.name))
    for parameter in list(filling.open):
        if parameter.required:
            await choice.choose(parameter)
    fill_left_over(filling)
    return filling.arguments


class _Choice:
    """Has the model choose what the message does not spell out."""

    def __init__(self, filling: Filling, chooser: Chooser) -> None:
        self._filling = filling
        self._chooser = chooser

    async def choose(self, parameter: Parameter) -> None:
        """Fill in a parameter; it stays open where the model has nothing for it."""
        if parameter.kind == "enum":
            options = {str(value): value for value in parameter.schema.get("enum", ())}
            text = await self._chooser.likeliest(parameter, list(options)) if options else None
            if text is not None:
                self._filling.give(parameter, options[text])
                return
        if parameter.kind in ("string", "list"):
            candidates = self._leaving_enough(
                self._filling.candidates.runs(self._filling.taken, parameter.accepts)
            )
            span = await self._chooser.preferred(parameter, candidates) if candidates else None
            if span is not None and parameter.kind == "list":
                items = self._listed(span, self._chooser.cores(candidates))
                self._filling.give(parameter, [item.text for item in items], *items)
                return
            if span is not None:
                self._filling.give(parameter, span.text, span)
                return
        value = await self._chooser.written(parameter)
        if value is not None:
            self._filling.give(parameter, value)

    def _leaving_enough(self, candidates: list[Span]) -> list[Span]:
        """Return the candidates that leave something for the other texts that are still required."""
        others = sum(1 for one in self._filling.open if one.required and one.kind == "string") - 1
        cores = self._chooser.cores(candidates)
        kept = [
            span
            for span in candidates
            if sum(1 for core in cores if not span.overlaps((core,))) >= min(others, len(cores) - 1)
        ]
        return kept or candidates

    def _listed(self, item: Span, others: Sequence[Span]) -> list[Span]:
        """Return an item together with those that it is listed with."""
        items = [item]
        for other in sorted(others, key=lambda one: one.start):
            if other.start >= items[-1].end and _AND.fullmatch(
                self._filling.message[items[-1].end : other.start]
            ):
                items.append(other)
        for other in sorted(others, key=lambda one: -one.start):
            if other.end <= items[0].start and _AND.fullmatch(
                self._filling.message[other.end : items[0].start]
            ):
                items.insert(0, other)
        return items
