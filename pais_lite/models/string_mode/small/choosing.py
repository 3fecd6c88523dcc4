"""Lets a small model choose a value: by what a parameter's name makes likelier, and by what it would write."""

import math
from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage

from pais_lite.models.string_mode.schema import grammar_schema
from pais_lite.models.string_mode.small.ask import Asker, conversation
from pais_lite.models.string_mode.small.parameters import Parameter
from pais_lite.models.string_mode.small.values import Span

__all__ = ["Chooser"]

_MANY = 8
_DEMOS = (
    'Message: "Please water the roses for 5 minutes."\nwater plants: bed?',
    '"roses"',
    'Message: "Can you take a picture of the old bridge with Anna in it?"\ntake photo: object?',
    '"old bridge"',
    'Message: "I would like to reserve a table at Blue Moon Diner on Saturday evening"\nreserve table: restaurant?',
    '"Blue Moon Diner"',
    'Message: "I would like to reserve a table at Blue Moon Diner on Saturday evening"\nreserve table: day?',
    '"Saturday evening"',
    'Message: "tell Max that the train is late"\nleave note: content?',
    '"the train is late"',
    'Message: "tell Max that the train is late"\nleave note: person?',
    '"Max"',
)
_SYSTEM = "Copy the value that is asked for from the message, word by word."


class Chooser:
    """Asks for the values of one tool's parameters in one message."""

    def __init__(self, asker: Asker, message: str, tool: str) -> None:
        self._asker = asker
        self._message = message
        self._tool = tool.replace("_", " ")

    async def written(self, parameter: Parameter) -> object:
        """Return the value that the model writes, of the parameter's type; None if it is no good.

        Raises:
            ModelAPIError: if the endpoint fails.
        """
        return await self._asker.choose(self._question(parameter), grammar_schema(parameter.schema))

    async def preferred(self, parameter: Parameter, candidates: Sequence[Span]) -> Span | None:
        """Return the candidate that the model means, or None if it cannot tell.

        First which words: those that the parameter's name makes likelier than any other name would. Then how many of
        the words around them, which the model knows best when it just writes.

        Raises:
            ModelAPIError: if the endpoint fails.
        """
        cores = self.cores(candidates)
        if len(cores) > 1:
            text = await self.likeliest(parameter, [span.text for span in cores])
            core = next((span for span in cores if span.text == text), None)
            candidates = [span for span in candidates if core is None or _within(core, span)]
        texts = list(dict.fromkeys(span.text for span in candidates))
        if len(texts) == 1:
            return candidates[0]
        value = await self._asker.choose(self._question(parameter), {"enum": texts})
        return next((span for span in candidates if span.text == value), None)

    @staticmethod
    def cores(candidates: Sequence[Span]) -> list[Span]:
        """Return the candidates that hold no other one."""
        return [
            span
            for span in candidates
            if not any(other != span and _within(other, span) for other in candidates)
        ]

    async def likeliest(self, parameter: Parameter, texts: Sequence[str]) -> str | None:
        """Return the text that being asked for the parameter makes likelier than being asked for anything does.

        None means that the endpoint does not tell likelihoods.

        Raises:
            ModelAPIError: if the endpoint fails.
        """
        best, best_lift = None, -math.inf
        for text in texts[:_MANY]:
            asked = await self._asker.likelihoods(self._question(parameter), text)
            anyhow = await self._asker.likelihoods(self._question(None), text) if asked else None
            if asked is None or anyhow is None:
                return None
            lift = sum(asked) - sum(anyhow)
            if lift > best_lift:
                best, best_lift = text, lift
        return best

    def _question(self, parameter: Parameter | None) -> list[ModelMessage]:
        """Ask for a parameter's value, or for any value at all."""
        if parameter is None:
            asked = "anything: value"
        else:
            asked = f"{self._tool}: {parameter.name}"
            if parameter.description:
                asked += f" ({parameter.description})"
        return conversation(_SYSTEM, *_DEMOS, f'Message: "{self._message}"\n{asked}?')


def _within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end
