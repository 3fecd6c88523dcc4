"""The arguments of a call, taken out of a message for a model too small to write them down itself.

What a message spells out is read from it: options, numbers, quotations, addresses, paths, and whatever follows the name
of a parameter. What is left to choose, the model chooses, but only among runs of the message's own words. Optional
parameters stay out unless the message plainly gives them.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic_ai.messages import ModelMessage
from pydantic_ai.tools import ToolDefinition

from pais_lite.models.string_mode.schema import grammar_schema
from pais_lite.models.string_mode.small.ask import Asker, conversation
from pais_lite.models.string_mode.small.parameters import Parameter, parameters_of
from pais_lite.models.string_mode.small.values import Span, numbers, quotations, spans, tokens
from pais_lite.models.string_mode.small.words import LITTLE_WORDS, similarity, words

__all__ = ["fill_arguments"]

# Parameters of these names take the message as a whole.
_WHOLE = frozenset(("task", "prompt", "instruction", "instructions", "request", "question", "message"))
# Words that stand around a value in English and are hardly ever its first or last one. Other languages lose no more than
# this help: their spans are all kept.
_AROUND = LITTLE_WORDS | frozenset(
    words("want need like just now right so up out under over below above between within until not let")
)
_SUBJECTS = frozenset(("i", "you", "we", "they", "he", "she"))
_WISHES = frozenset(("want", "need", "like", "love", "wish", "have", "going", "try"))
_NEGATIONS = frozenset(words("off not no don dont without never stop disable"))
_BREAK = re.compile(r"[,;:!?]|\.\s")
_LONGEST = 10
_MANY_SPANS = 160
_MANY_CORES = 8
# How near to a parameter's name its number stands, in words.
_NEAR = 2

# What values of these kinds look like, by words that name the kind nearly everywhere.
_SHAPES: tuple[tuple[frozenset[str], re.Pattern[str]], ...] = (
    (frozenset(("email", "mail", "emails", "recipient", "to", "cc")), re.compile(r"[^@\s]+@[^@\s]+")),
    (frozenset(("url", "uri", "link", "website")), re.compile(r"\w+://|www\.|\w\.\w{2,}(/|$)")),
    (
        frozenset(("path", "file", "filename", "directory", "folder", "source", "destination")),
        re.compile(r"[/\\]|\w\.\w{1,5}$"),
    ),
    (
        frozenset(
            (
                "id",
                "number",
                "code",
                "sku",
                "isbn",
                "order",
                "ticket",
                "invoice",
                "flight",
                "digits",
                "phone",
                "plate",
            )
        ),
        re.compile(r"\d"),
    ),
    (
        frozenset(("time", "clock", "hour", "start", "end")),
        re.compile(r"^\d{1,2}([:.]\d\d)?(am|pm|h)?$|^\d{1,2}:\d\d", re.IGNORECASE),
    ),
)

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
        self._asker = asker
        self._message = message
        self._tool = tool
        self._tokens = tokens(message)
        self._tool_words = (
            frozenset(word for text in (tool.name, tool.description or "") for word in words(text)) - _AROUND
        )
        self._parameters = parameters_of(tool)
        self._tool_words |= frozenset(word for one in self._parameters for word in one.words) - _AROUND
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
        for token in self._free(self._tokens):
            said = words(token.text)
            if wanted and said and any(similarity(wanted[0], word) >= 0.6 for word in said):
                return token
        return None

    def _flags(self) -> None:
        said = [word for token in self._tokens for word in words(token.text)]
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
                fitting = [
                    token
                    for token in self._free(self._tokens)
                    if shape.search(token.text) and parameter.accepts(token.text)
                ]
                if fitting:
                    self._give(parameter, fitting[0].text, fitting[0])
        for parameter in self._unfilled("string"):
            if "pattern" in parameter.schema:
                fitting = [token for token in self._free(self._tokens) if parameter.accepts(token.text)]
                if fitting:
                    self._give(parameter, fitting[0].text, fitting[0])

    def _quoted(self) -> None:
        for quotation in self._free(quotations(self._message)):
            texts = self._unfilled("string")
            if texts:
                before = [
                    word
                    for token in self._tokens
                    if token.end <= quotation.start
                    for word in words(token.text)
                ][-2:]
                named = [one for one in texts if _alike(one.words, before)]
                self._give((named or texts)[0], quotation.text, quotation)

    def _numbers(self) -> None:
        wanted = self._unfilled("integer", "number")
        given = self._free(numbers(self._message))
        quoted = quotations(self._message)
        given = [number for number in given if not number.overlaps(quoted)]
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
            (i for i, token in enumerate(self._tokens) if token.start <= number.start < token.end + 1), 0
        )
        around = self._tokens[max(0, place - _NEAR) : place + 1 + _NEAR]
        return _alike(parameter.words, [word for token in around for word in words(token.text)])

    def _named(self) -> None:
        """Fill parameters whose name stands before their value: `subject lunch`, `from miles to kilometers`."""
        unique = {
            word: parameter
            for parameter in self._unfilled("string")
            for word in parameter.words - frozenset(words(self._tool.name))
            if sum(word in other.words for other in self._parameters) == 1
            and (word not in LITTLE_WORDS or len(parameter.words) > 1)
        }
        places = [
            (index, parameter)
            for index, token in enumerate(self._tokens)
            for word, parameter in unique.items()
            if _alike({word}, words(token.text))
        ]
        for number, (index, parameter) in enumerate(places):
            if parameter not in self._open:
                continue
            until = places[number + 1][0] if number + 1 < len(places) else len(self._tokens)
            following = self._trimmed(self._tokens[index + 1 : until])
            if following:
                span = Span(
                    self._message[following[0].start : following[-1].end],
                    following[0].start,
                    following[-1].end,
                )
                if not span.overlaps(self._taken) and parameter.accepts(span.text):
                    self._give(parameter, span.text, span)

    def _trimmed(self, run: Sequence[Span]) -> list[Span]:
        kept = list(run)
        while kept and kept[0].text.casefold() in _AROUND:
            kept.pop(0)
        while kept and kept[-1].text.casefold() in _AROUND:
            kept.pop()
        return kept

    # ----------------------------------------------------------------------------------- what has to be chosen

    async def _chosen(self, parameter: Parameter) -> None:
        candidates = self._candidates(parameter) if parameter.kind in ("string", "list") else []
        span = await self._preferred(parameter, candidates) if candidates else None
        if span is not None:
            self._give(
                parameter, _listed(span.text, parameter) if parameter.kind == "list" else span.text, span
            )
            return
        value = await self._asker.choose(self._question(parameter), grammar_schema(parameter.schema))
        if value is not None:
            self._give(parameter, value)

    def _question(self, parameter: Parameter | None) -> list[ModelMessage]:
        """Ask for a parameter's value, or for any value at all."""
        if parameter is None:
            asked = "anything: value"
        else:
            asked = f"{self._tool.name.replace('_', ' ')}: {parameter.name}"
            if parameter.description:
                asked += f" ({parameter.description})"
        return conversation(_SYSTEM, *_DEMOS, f'Message: "{self._message}"\n{asked}?')

    async def _preferred(self, parameter: Parameter, candidates: list[Span]) -> Span | None:
        """Return the candidate that the model means, or None if it cannot tell.

        First which words: those that the parameter's name makes likelier than any other name would. Then how many of
        the words around them, which the model knows best when it just writes.
        """
        cores = [
            span
            for span in candidates
            if not any(other != span and _within(other, span) for other in candidates)
        ]
        if len(cores) > 1:
            core = await self._likeliest(parameter, cores)
            candidates = [span for span in candidates if core is None or _within(core, span)]
        texts = list(dict.fromkeys(span.text for span in candidates))
        if len(texts) == 1:
            return candidates[0]
        value = await self._asker.choose(self._question(parameter), {"enum": texts})
        return next((span for span in candidates if span.text == value), None)

    async def _likeliest(self, parameter: Parameter, candidates: list[Span]) -> Span | None:
        best, best_lift = None, -math.inf
        for span in candidates[:_MANY_CORES]:
            asked = await self._asker.likelihoods(self._question(parameter), span.text)
            anyhow = await self._asker.likelihoods(self._question(None), span.text)
            if asked is None or anyhow is None:
                return None
            lift = sum(asked) - sum(anyhow)
            if lift > best_lift:
                best, best_lift = span, lift
        return best

    def _candidates(self, parameter: Parameter) -> list[Span]:
        """Return the runs of words that may be the value, those that stand on their own first."""
        every = [
            span
            for span in self._free(spans(self._message, longest=_LONGEST))
            if parameter.accepts(span.text)
        ]
        for edge in (self._is_at_no_edge, self._is_little):
            kept = [span for span in every if self._stands_alone(span, edge)]
            if kept:
                return [*kept, *(name for run in kept for name in self._names_in(run))][:_MANY_SPANS]
        return every[:_MANY_SPANS]

    def _stands_alone(self, span: Span, is_at_no_edge: Callable[[Span], bool]) -> bool:
        """Whether a span begins and ends where values do: not with such a word, and next to one or to punctuation."""
        inside = [token for token in self._tokens if span.start <= token.start and token.end <= span.end]
        if is_at_no_edge(inside[0]) or is_at_no_edge(inside[-1]):
            return False
        between = self._message[span.start : span.end]
        if _BREAK.search(between):
            return False
        first, last = self._tokens.index(inside[0]), self._tokens.index(inside[-1])
        before = self._tokens[first - 1] if first else None
        after = self._tokens[last + 1] if last + 1 < len(self._tokens) else None
        return self._is_border(before, is_at_no_edge, span.start, after=False) and self._is_border(
            after, is_at_no_edge, span.end, after=True
        )

    def _is_border(
        self, token: Span | None, is_at_no_edge: Callable[[Span], bool], position: int, *, after: bool
    ) -> bool:
        if token is None or is_at_no_edge(token) or token.overlaps(self._taken):
            return True
        gap = self._message[position : token.start] if after else self._message[token.end : position]
        return _BREAK.search(f"{gap}|") is not None and gap.strip() != ""

    def _is_little(self, token: Span) -> bool:
        said = words(token.text)
        return not said or all(word in _AROUND for word in said)

    def _is_at_no_edge(self, token: Span) -> bool:
        """Whether a word belongs to the request rather than to a value: a little one, one of the tool's, a verb."""
        return self._is_little(token) or self._is_verb(token) or _alike(self._tool_words, words(token.text))

    def _is_verb(self, token: Span) -> bool:
        """Whether a word stands where English has its verbs: first in a request, behind "you" or "want to"."""
        place = self._tokens.index(token)
        before = [one.text.casefold() for one in self._tokens[max(0, place - 2) : place]]
        return not before or before[-1] in _SUBJECTS or (before[-1] == "to" and before[0] in _WISHES)

    def _names_in(self, run: Span) -> list[Span]:
        """Return the runs of capitalized words inside a longer run, which may be the value by themselves."""
        found: list[list[Span]] = [[]]
        for token in self._tokens:
            if run.start <= token.start and token.end <= run.end and token.text[:1].isupper():
                found[-1].append(token)
            elif found[-1]:
                found.append([])
        names = [
            Span(self._message[part[0].start : part[-1].end], part[0].start, part[-1].end)
            for part in found
            if part
        ]
        return [name for name in names if name != run]

    def _left_over(self) -> None:
        """Give what is plainly a value and was not used to the first optional string, such as a time of day."""
        for parameter in self._unfilled("string"):
            if parameter.required:
                continue
            names = next((shape for kinds, shape in _SHAPES if kinds & parameter.words), None)
            fitting = [token for token in self._free(self._tokens) if names and names.search(token.text)]
            if fitting:
                self._give(parameter, fitting[0].text, fitting[0])


def _within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _alike(names: Iterable[str], said: Sequence[str]) -> bool:
    return any(similarity(name, word) >= 0.7 for name in names for word in said)


def _fits(parameter: Parameter, number: Span) -> bool:
    value = float(number.text.replace(",", ""))
    if parameter.kind == "integer" and not value.is_integer():
        return False
    low, high = parameter.schema.get("minimum"), parameter.schema.get("maximum")
    return (low is None or value >= low) and (high is None or value <= high)


def _number(number: Span, parameter: Parameter) -> int | float:
    value = float(number.text.replace(",", ""))
    return int(value) if parameter.kind == "integer" or value.is_integer() else value


def _listed(text: str, parameter: Parameter) -> list[Any]:
    items = parameter.schema.get("items")
    if isinstance(items, dict) and items.get("type") in ("integer", "number"):
        return [
            int(value) if (value := float(span.text.replace(",", ""))).is_integer() else value
            for span in numbers(text)
        ]
    return [part.strip() for part in re.split(r",|;|&|\band\b", text) if part.strip()]
