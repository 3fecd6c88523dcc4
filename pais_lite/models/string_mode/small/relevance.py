"""Which of its tools a small model needs for a message, if any.

Such a model cannot be asked: it calls a tool at every greeting. So first the words speak: what message and tool share,
and whether the message brings along what a call needs. Where that leaves a doubt, the model is measured: how likely is
this message from somebody who wants the tool, compared word by word with how likely it is in any chat (a noisy channel,
which small models are far better at than at choosing)? A greeting costs nothing, and neither does a plain request.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_ai.tools import ToolDefinition

from pais_lite.models.string_mode.small.ask import Asker, conversation
from pais_lite.models.string_mode.small.parameters import parameters_of
from pais_lite.models.string_mode.small.values import numbers, quotations
from pais_lite.models.string_mode.small.words import LITTLE_WORDS, overlap, words

__all__ = ["Relevance", "most_relevant", "sentence"]

# The weights were set in round numbers on `benchmarks/tool_calling_dev.py`.
_OVERLAP = 7.0
_LIFT = 0.5
_SPECIFIC = 4.0
_NUMBER = 3.0
_MISSING_NUMBER = 8.0
_THRESHOLD = 6.0
# A tool that shares no word with the message needs more than likelihood, which is noisy where nothing else speaks.
_UNRELATED = 4.0
# So far ahead without any likelihood, nothing else can win. And so many tools are worth measuring.
_DECISIVE = 5.0
_MEASURED = 5
# A tool's name says most of it, its parameters' least.
_IN_NAME, _IN_DESCRIPTION, _IN_PARAMETERS = 1.5, 1.0, 0.6
# No single word may decide: neither one that the model finds impossible nor one that only repeats the description.
_LEAST, _MOST = -2.0, 3.0
# English asks for nearly everything with these; they say little about what.
_COMMON = 0.5
_COMMON_VERBS = frozenset(words("get give find show tell say make take let write look ask know use see"))
# The model reads no more of a message than this.
_MAX_CHARS = 400

_MARKUP = re.compile(r"</?\w+>")
# Something that only a particular thing is called: digits, or a word with signs inside, such as a path or an address.
_SPECIFIC_WORD = re.compile(r"\d|\w[@/._-]\w")


@dataclass(frozen=True)
class Relevance:
    """How much a message wants a tool, and what that was made of."""

    tool: ToolDefinition
    score: float
    overlap: float
    lift: float
    """By how much the message becomes likelier by the tool."""
    specific: bool
    numbers: int

    @property
    def wanted(self) -> bool:
        """Whether that is enough for a call."""
        return self.score >= _THRESHOLD


def sentence(tool: ToolDefinition) -> str:
    """Return what a tool does and takes, in one line of plain words."""
    description = " ".join(_MARKUP.sub("", tool.description or "").split())
    properties: dict[str, Any] = tool.parameters_json_schema.get("properties", {})
    parameters = ", ".join(
        name.replace("_", " ") + (f": {described}" if (described := schema.get("description")) else "")
        for name, schema in properties.items()
    )
    line = tool.name.replace("_", " ") + (f": {description}" if description else "")
    return f"{line} ({parameters})" if parameters else line


async def most_relevant(asker: Asker, message: str, tools: Sequence[ToolDefinition]) -> list[Relevance]:
    """Return tools, the one that the message wants most first; far-off ones may be missing.

    Raises:
        ModelAPIError: if the endpoint fails.
    """
    overlaps = overlap(words(message), [_vocabulary(tool) for tool in tools])
    given = len(numbers(message))
    specific = bool(quotations(message) or _SPECIFIC_WORD.search(message))
    found = []
    for tool, shared in zip(tools, overlaps, strict=True):
        numeric, needed = _numeric_parameters(tool)
        used = min(given, numeric)
        missing = max(0, needed - given)
        score = _OVERLAP * shared + _SPECIFIC * specific + _NUMBER * used - _MISSING_NUMBER * missing
        if not shared:
            score -= _UNRELATED
        found.append(Relevance(tool, score, shared, 0.0, specific, used))
    found.sort(key=lambda one: one.score, reverse=True)
    runner_up = found[1].score if len(found) > 1 else 0.0
    if found[0].score <= 0 or found[0].score >= max(runner_up, _THRESHOLD) + _DECISIVE:
        return found
    measured = await _measured(asker, message[:_MAX_CHARS], found[:_MEASURED])
    return sorted(measured, key=lambda one: one.score, reverse=True)


async def _measured(asker: Asker, message: str, found: Sequence[Relevance]) -> Sequence[Relevance]:
    baseline = await asker.likelihoods(
        conversation("", "Write something that somebody says in a chat."), message
    )
    if baseline is None:
        # Without likelihoods the words alone have to do.
        return found
    listed = "\n".join(f"- {sentence(one.tool)}" for one in found)
    opening = f"Here is what an assistant can do.\n{listed}\nWrite a message in which a user asks for this: "
    measured = []
    for one in found:
        likelihoods = await asker.likelihoods(conversation("", opening + sentence(one.tool)), message)
        if likelihoods is None:
            return found
        lift = sum(
            min(_MOST, max(_LEAST, by - without)) for by, without in zip(likelihoods, baseline, strict=True)
        )
        measured.append(replace(one, score=one.score + _LIFT * lift, lift=lift))
    return measured


def _vocabulary(tool: ToolDefinition) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, schema in tool.parameters_json_schema.get("properties", {}).items():
        found |= dict.fromkeys((*words(name), *words(str(schema.get("description", "")))), _IN_PARAMETERS)
        for value in schema.get("enum", ()):
            found |= dict.fromkeys(words(str(value)), _IN_DESCRIPTION)
    found |= dict.fromkeys(words(_MARKUP.sub("", tool.description or "")), _IN_DESCRIPTION)
    found |= dict.fromkeys(words(tool.name), _IN_NAME)
    return {
        word: weight * (_COMMON if word in _COMMON_VERBS else 1.0)
        for word, weight in found.items()
        if word not in LITTLE_WORDS
    }


def _numeric_parameters(tool: ToolDefinition) -> tuple[int, int]:
    """Return how many numbers a tool takes, and how many of them it needs."""
    numeric = [one for one in parameters_of(tool) if one.kind in ("integer", "number")]
    return len(numeric), sum(1 for one in numeric if one.required)
