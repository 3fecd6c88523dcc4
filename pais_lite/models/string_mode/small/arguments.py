"""The arguments of a call, taken out of a message for a model too small to write them down itself.

What a message spells out is read from it: options, numbers, quotations, addresses, paths, and whatever follows the name
of a parameter. What is left to choose, the model chooses, but only among runs of the message's own words. Optional
parameters stay out unless the message plainly gives them.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_ai.tools import ToolDefinition

from pais_lite.models.string_mode.small.ask import Asker
from pais_lite.models.string_mode.small.candidates import AROUND, Candidates, alike
from pais_lite.models.string_mode.small.choosing import Chooser
from pais_lite.models.string_mode.small.parameters import Parameter, parameters_of
from pais_lite.models.string_mode.small.values import Span, number_value, numbers, quotations
from pais_lite.models.string_mode.small.words import LITTLE_WORDS, similarity, words

__all__ = ["fill_arguments"]

# Parameters of these names take the message as a whole.
_WHOLE = frozenset(("task", "prompt", "instruction", "instructions", "request", "question"))
_NEGATIONS = frozenset(words("off not no don dont without never stop disable"))
# How near to a parameter's name its number stands, in words.
_NEAR = 2
# What people put into quotation marks.
_TEXTS = frozenset(
    words("text message title subject body content note comment caption summary phrase sentence word query")
)
_CLOCK = frozenset(("am", "pm", "a.m", "p.m", "o'clock"))
# What the two ends of something are called, by the English words that stand before them.
_DIRECTIONS = {
    "from": frozenset(words("from origin source start departure sender old base")),
    "to": frozenset(words("to destination target end arrival recipient receiver new")),
}
# What stands between the items of a list.
_AND = re.compile(r"\s*(?:[,;&/]\s*)?(?:\b(?:and|or)\b)?\s*", re.IGNORECASE)

# What values of these kinds look like, by words that name the kind nearly everywhere.
_SHAPES: tuple[tuple[frozenset[str], re.Pattern[str]], ...] = (
    (frozenset(("email", "mail", "emails", "recipient", "to", "cc")), re.compile(r"[^@\s]+@[^@\s]+")),
    (frozenset(("url", "uri", "link", "website")), re.compile(r"\w+://|www\.|\w\.\w{2,}(/|$)")),
    (
        frozenset(("path", "file", "filename", "directory", "folder", "source", "destination")),
        re.compile(r"[/\\]|\w\.\w{1,5}$"),
    ),
    (
        frozenset(words("id number code sku isbn order ticket invoice flight digits phone plate")),
        re.compile(r"\d"),
    ),
    (
        frozenset(("time", "clock", "hour", "start", "end")),
        re.compile(r"^\d{1,2}([:.]\d\d)?(am|pm|h)$|^\d{1,2}:\d\d", re.IGNORECASE),
    ),
)


async def fill_arguments(asker: Asker, message: str, tool: ToolDefinition) -> dict[str, Any]:
    """Return the arguments for a call of `tool` that `message` gives.

    Raises:
        ModelAPIError: if the endpoint fails.
    """
    filling = _Filling(asker, message, tool)
    await filling.run()
    return filling.arguments


class _Filling:
    def __init__(self, asker: Asker, message: str, tool: ToolDefinition) -> None:
        self._message = message
        self._tool = tool
        self._parameters = parameters_of(tool)
        of_the_tool = [*words(tool.name), *words(tool.description or "")]
        self._candidates = Candidates(
            message, [*of_the_tool, *(word for one in self._parameters for word in one.words)]
        )
        self._chooser = Chooser(asker, message, tool.name)
        self._taken: list[Span] = []
        self._open = list(self._parameters)
        self.arguments: dict[str, Any] = {}

    async def run(self) -> None:
        self._options()
        self._flags()
        self._whole_message()
        self._shaped()
        self._quoted()
        self._numbers()
        self._directed()
        self._named()
        for parameter in list(self._open):
            if parameter.required:
                await self._chosen(parameter)
        self._left_over()

    def _give(self, parameter: Parameter, value: Any, *taken: Span) -> None:
        self._taken.extend(taken)
        self._open.remove(parameter)
        node = self.arguments
        for step in parameter.path[:-1]:
            node = node.setdefault(step, {})
        node[parameter.path[-1]] = value

    def _unfilled(self, *kinds: str) -> list[Parameter]:
        """Return what is still open of some kinds, required parameters first."""
        return sorted((one for one in self._open if one.kind in kinds), key=lambda one: not one.required)

    def _free(self, candidates: Iterable[Span]) -> list[Span]:
        return [span for span in candidates if not span.overlaps(self._taken)]

    # ------------------------------------------------------------------------------------- what is spelled out

    def _options(self) -> None:
        for parameter in self._unfilled("enum"):
            values = parameter.schema.get("enum", [parameter.schema.get("const")])
            if len(values) == 1 and parameter.required:
                self._give(parameter, values[0])
                continue
            found = [(span, value) for value in values if (span := self._maybe_named_option(str(value)))]
            if found:
                span, value = min(found, key=lambda one: one[0].start)
                self._give(parameter, value, span)

    def _maybe_named_option(self, value: str) -> Span | None:
        wanted = words(value)
        for token in self._free(self._candidates.tokens):
            said = words(token.text)
            if wanted and said and any(similarity(wanted[0], word) >= 0.6 for word in said):
                return token
        return None

    def _flags(self) -> None:
        said = [word for token in self._candidates.tokens for word in words(token.text)]
        for parameter in self._unfilled("boolean"):
            stems = parameter.words - {"is", "be", "set", "should"}
            named = any(similarity(stem, word) for stem in stems for word in said)
            # "unlock" for `locked`, "inactive" for `active`.
            reversed_ = any(
                similarity(stem, word[cut:])
                for stem in stems
                for word in said
                for cut in (2, 3)
                if len(word) > cut + 3
            )
            denied = reversed_ or bool(_NEGATIONS & set(said))
            default = parameter.schema.get("default")
            if parameter.required or named or reversed_:
                value = not denied
                if parameter.required or value != default:
                    self._give(parameter, value)

    def _whole_message(self) -> None:
        texts = [one for one in self._open if one.kind == "string" and one.required]
        if len(texts) == 1 and texts[0].words & _WHOLE:
            self._give(texts[0], self._message)

    def _shaped(self) -> None:
        for names, shape in _SHAPES:
            for parameter in self._unfilled("string"):
                if not names & parameter.words and not (parameter.required and names & parameter.all_words):
                    continue
                values = [self._with_half_of_the_day(token) for token in self._free(self._candidates.tokens)]
                fitting = [
                    value
                    for value in values
                    if shape.search(value.text.replace(" ", "")) and parameter.accepts(value.text)
                ]
                if fitting:
                    self._give(parameter, fitting[0].text, fitting[0])
        for parameter in self._unfilled("string"):
            if "pattern" in parameter.schema:
                fitting = [
                    token for token in self._free(self._candidates.tokens) if parameter.accepts(token.text)
                ]
                if fitting:
                    self._give(parameter, fitting[0].text, fitting[0])

    def _with_half_of_the_day(self, token: Span) -> Span:
        following = next((one for one in self._candidates.tokens if one.start > token.start), None)
        if token.text.isdigit() and following is not None and following.text.casefold() in _CLOCK:
            return self._candidates.joined([token, following])
        return token

    def _quoted(self) -> None:
        for quotation in self._free(quotations(self._message)):
            texts = self._unfilled("string")
            if texts:
                before = [
                    word
                    for token in self._candidates.tokens
                    if token.end <= quotation.start
                    for word in words(token.text)
                ][-2:]
                named = [one for one in texts if alike(one.words, before)]
                worded = [one for one in texts if one.required and one.words & _TEXTS]
                self._give((named or worded or texts)[0], quotation.text, quotation)

    def _numbers(self) -> None:
        wanted = self._unfilled("integer", "number")
        given = self._free(numbers(self._message))
        quoted = quotations(self._message)
        given = [number for number in given if not number.overlaps(quoted)]
        for parameter in self._unfilled("list"):
            if (
                given
                and not wanted
                and parameter.schema.get("items", {}).get("type") in ("integer", "number")
            ):
                self._give(parameter, [_number(number, parameter) for number in given], *given)
                given = []
        for parameter in list(wanted):
            near = [
                number for number in given if _fits(parameter, number) and self._is_near(parameter, number)
            ]
            if near:
                self._give(parameter, _number(near[0], parameter), near[0])
                given.remove(near[0])
                wanted.remove(parameter)
        for parameter in wanted:
            fitting = [number for number in given if _fits(parameter, number)]
            if fitting:
                self._give(parameter, _number(fitting[0], parameter), fitting[0])
                given.remove(fitting[0])

    def _is_near(self, parameter: Parameter, number: Span) -> bool:
        place = next(
            (
                i
                for i, token in enumerate(self._candidates.tokens)
                if token.start <= number.start < token.end + 1
            ),
            0,
        )
        around = self._candidates.tokens[max(0, place - _NEAR) : place + 1 + _NEAR]
        return alike(parameter.words, [word for token in around for word in words(token.text)])

    def _directed(self) -> None:
        """Fill parameters for the two ends of something: `from Berlin to Madrid`, `send it to Ann`."""
        for preposition, names in _DIRECTIONS.items():
            directed = [one for one in self._unfilled("string") if one.words & names]
            if len(directed) != 1:
                continue
            for index, token in enumerate(self._candidates.tokens):
                if token.text.casefold() == preposition and not self._candidates.before_verb(index):
                    run = self._candidates.run_from(index + 1, self._taken)
                    if run is not None and directed[0].accepts(run.text):
                        self._give(directed[0], run.text, run)
                        break

    def _named(self) -> None:
        """Fill parameters whose name stands before their value: `subject lunch`, `note thanks for dinner`."""
        unique = {
            word: parameter
            for parameter in self._unfilled("string")
            for word in parameter.words - frozenset(words(self._tool.name)) - LITTLE_WORDS
            if sum(word in other.words for other in self._parameters) == 1
        }
        places = [
            (index, parameter)
            for index, token in enumerate(self._candidates.tokens)
            for word, parameter in unique.items()
            if alike({word}, words(token.text))
        ]
        for number, (index, parameter) in enumerate(places):
            if parameter not in self._open:
                continue
            until = places[number + 1][0] if number + 1 < len(places) else len(self._candidates.tokens)
            following = self._trimmed(self._candidates.tokens[index + 1 : until])
            if following:
                span = self._candidates.joined(following)
                if not span.overlaps(self._taken) and parameter.accepts(span.text):
                    self._give(parameter, span.text, span)

    def _trimmed(self, run: Sequence[Span]) -> list[Span]:
        kept = list(run)
        while kept and kept[0].text.casefold() in AROUND:
            kept.pop(0)
        while kept and kept[-1].text.casefold() in AROUND:
            kept.pop()
        return kept

    # ----------------------------------------------------------------------------------- what has to be chosen

    async def _chosen(self, parameter: Parameter) -> None:
        if parameter.kind == "enum":
            options = {str(value): value for value in parameter.schema.get("enum", ())}
            text = await self._chooser.likeliest(parameter, list(options)) if options else None
            if text is not None:
                self._give(parameter, options[text])
                return
        if parameter.kind in ("string", "list"):
            candidates = self._leaving_enough(self._candidates.runs(self._taken, parameter.accepts))
            span = await self._chooser.preferred(parameter, candidates) if candidates else None
            if span is not None and parameter.kind == "list":
                items = self._listed(span, self._chooser.cores(candidates))
                self._give(parameter, [item.text for item in items], *items)
                return
            if span is not None:
                self._give(parameter, span.text, span)
                return
        value = await self._chooser.written(parameter)
        if value is not None:
            self._give(parameter, value)

    def _leaving_enough(self, candidates: list[Span]) -> list[Span]:
        """Return the candidates that leave something for the other texts that are still required."""
        others = sum(1 for one in self._open if one.required and one.kind == "string") - 1
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
            if other.start >= items[-1].end and _AND.fullmatch(self._message[items[-1].end : other.start]):
                items.append(other)
        for other in sorted(others, key=lambda one: -one.start):
            if other.end <= items[0].start and _AND.fullmatch(self._message[other.end : items[0].start]):
                items.insert(0, other)
        return items

    def _left_over(self) -> None:
        """Give what is plainly a value and was not used to the first optional string, such as a time of day."""
        for parameter in self._unfilled("string"):
            if parameter.required:
                continue
            names = next((shape for kinds, shape in _SHAPES if kinds & parameter.words), None)
            fitting = [
                token for token in self._free(self._candidates.tokens) if names and names.search(token.text)
            ]
            if fitting:
                self._give(parameter, fitting[0].text, fitting[0])


def _fits(parameter: Parameter, number: Span) -> bool:
    value = number_value(number)
    if parameter.kind == "integer" and not value.is_integer():
        return False
    low, high = parameter.schema.get("minimum"), parameter.schema.get("maximum")
    return (low is None or value >= low) and (high is None or value <= high)


def _number(number: Span, parameter: Parameter) -> int | float:
    value = number_value(number)
    return int(value) if parameter.kind == "integer" or value.is_integer() else value
