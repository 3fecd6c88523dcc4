"""What a message spells out of the arguments of a call: read by rules, without a model.

That is options, flags, numbers, quotations, addresses, paths, and whatever follows the name of a parameter.
"""

import re
from collections.abc import Sequence

from pais_lite.models.string_mode.small.candidates import AROUND, alike
from pais_lite.models.string_mode.small.filling import Filling
from pais_lite.models.string_mode.small.parameters import Parameter
from pais_lite.models.string_mode.small.values import Span, number_value, numbers, quotations
from pais_lite.models.string_mode.small.words import LITTLE_WORDS, similarity, words

__all__ = ["fill_left_over", "fill_spelled_out"]

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


def fill_spelled_out(filling: Filling) -> None:
    """Fill in what is spelled out, the surest first: what one rule has taken, the next ones leave alone."""
    _options(filling)
    _flags(filling)
    _whole_message(filling)
    _shaped(filling)
    _quoted(filling)
    _numbers(filling)
    _directed(filling)
    _named(filling)


def fill_left_over(filling: Filling) -> None:
    """Give what is plainly a value and was not used to the first optional string, such as a time of day."""
    for parameter in filling.unfilled("string"):
        if parameter.required:
            continue
        names = next((shape for kinds, shape in _SHAPES if kinds & parameter.words), None)
        fitting = [
            token for token in filling.free(filling.candidates.tokens) if names and names.search(token.text)
        ]
        if fitting:
            filling.give(parameter, fitting[0].text, fitting[0])


def _options(filling: Filling) -> None:
    for parameter in filling.unfilled("enum"):
        values = parameter.schema.get("enum", [parameter.schema.get("const")])
        if len(values) == 1 and parameter.required:
            filling.give(parameter, values[0])
            continue
        found = [(span, value) for value in values if (span := _maybe_named_option(filling, str(value)))]
        if found:
            span, value = min(found, key=lambda one: one[0].start)
            filling.give(parameter, value, span)


def _maybe_named_option(filling: Filling, value: str) -> Span | None:
    wanted = words(value)
    for token in filling.free(filling.candidates.tokens):
        said = words(token.text)
        if wanted and said and any(similarity(wanted[0], word) >= 0.6 for word in said):
            return token
    return None


def _flags(filling: Filling) -> None:
    said = [word for token in filling.candidates.tokens for word in words(token.text)]
    for parameter in filling.unfilled("boolean"):
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
                filling.give(parameter, value)


def _whole_message(filling: Filling) -> None:
    texts = [one for one in filling.open if one.kind == "string" and one.required]
    if len(texts) == 1 and texts[0].words & _WHOLE:
        filling.give(texts[0], filling.message)


def _shaped(filling: Filling) -> None:
    for names, shape in _SHAPES:
        for parameter in filling.unfilled("string"):
            if not names & parameter.words and not (parameter.required and names & parameter.all_words):
                continue
            values = [
                _with_half_of_the_day(filling, token) for token in filling.free(filling.candidates.tokens)
            ]
            fitting = [
                value
                for value in values
                if shape.search(value.text.replace(" ", "")) and parameter.accepts(value.text)
            ]
            if fitting:
                filling.give(parameter, fitting[0].text, fitting[0])
    for parameter in filling.unfilled("string"):
        if "pattern" in parameter.schema:
            fitting = [
                token for token in filling.free(filling.candidates.tokens) if parameter.accepts(token.text)
            ]
            if fitting:
                filling.give(parameter, fitting[0].text, fitting[0])


def _with_half_of_the_day(filling: Filling, token: Span) -> Span:
    following = next((one for one in filling.candidates.tokens if one.start > token.start), None)
    if token.text.isdigit() and following is not None and following.text.casefold() in _CLOCK:
        return filling.candidates.joined([token, following])
    return token


def _quoted(filling: Filling) -> None:
    for quotation in filling.free(quotations(filling.message)):
        texts = filling.unfilled("string")
        if texts:
            before = [
                word
                for token in filling.candidates.tokens
                if token.end <= quotation.start
                for word in words(token.text)
            ][-2:]
            named = [one for one in texts if alike(one.words, before)]
            worded = [one for one in texts if one.required and one.words & _TEXTS]
            filling.give((named or worded or texts)[0], quotation.text, quotation)


def _numbers(filling: Filling) -> None:
    wanted = filling.unfilled("integer", "number")
    given = filling.free(numbers(filling.message))
    quoted = quotations(filling.message)
    given = [number for number in given if not number.overlaps(quoted)]
    for parameter in filling.unfilled("list"):
        if given and not wanted and parameter.schema.get("items", {}).get("type") in ("integer", "number"):
            filling.give(parameter, [_number(number, parameter) for number in given], *given)
            given = []
    for parameter in list(wanted):
        near = [
            number for number in given if _fits(parameter, number) and _is_near(filling, parameter, number)
        ]
        if near:
            filling.give(parameter, _number(near[0], parameter), near[0])
            given.remove(near[0])
            wanted.remove(parameter)
    for parameter in wanted:
        fitting = [number for number in given if _fits(parameter, number)]
        if fitting:
            filling.give(parameter, _number(fitting[0], parameter), fitting[0])
            given.remove(fitting[0])


def _is_near(filling: Filling, parameter: Parameter, number: Span) -> bool:
    place = next(
        (
            i
            for i, token in enumerate(filling.candidates.tokens)
            if token.start <= number.start < token.end + 1
        ),
        0,
    )
    around = filling.candidates.tokens[max(0, place - _NEAR) : place + 1 + _NEAR]
    return alike(parameter.words, [word for token in around for word in words(token.text)])


def _directed(filling: Filling) -> None:
    """Fill parameters for the two ends of something: `from Berlin to Madrid`, `send it to Ann`."""
    for preposition, names in _DIRECTIONS.items():
        directed = [one for one in filling.unfilled("string") if one.words & names]
        if len(directed) != 1:
            continue
        for index, token in enumerate(filling.candidates.tokens):
            if token.text.casefold() == preposition and not filling.candidates.before_verb(index):
                run = filling.candidates.run_from(index + 1, filling.taken)
                if run is not None and directed[0].accepts(run.text):
                    filling.give(directed[0], run.text, run)
                    break


def _named(filling: Filling) -> None:
    """Fill parameters whose name stands before their value: `subject lunch`, `note thanks for dinner`."""
    unique = {
        word: parameter
        for parameter in filling.unfilled("string")
        for word in parameter.words - frozenset(words(filling.tool.name)) - LITTLE_WORDS
        if sum(word in other.words for other in filling.parameters) == 1
    }
    places = [
        (index, parameter)
        for index, token in enumerate(filling.candidates.tokens)
        for word, parameter in unique.items()
        if alike({word}, words(token.text))
    ]
    for number, (index, parameter) in enumerate(places):
        if parameter not in filling.open:
            continue
        until = places[number + 1][0] if number + 1 < len(places) else len(filling.candidates.tokens)
        following = _trimmed(filling.candidates.tokens[index + 1 : until])
        if following:
            span = filling.candidates.joined(following)
            if not span.overlaps(filling.taken) and parameter.accepts(span.text):
                filling.give(parameter, span.text, span)


def _trimmed(run: Sequence[Span]) -> list[Span]:
    kept = list(run)
    while kept and kept[0].text.casefold() in AROUND:
        kept.pop(0)
    while kept and kept[-1].text.casefold() in AROUND:
        kept.pop()
    return kept


def _fits(parameter: Parameter, number: Span) -> bool:
    value = number_value(number)
    if parameter.kind == "integer" and not value.is_integer():
        return False
    low, high = parameter.schema.get("minimum"), parameter.schema.get("maximum")
    return (low is None or value >= low) and (high is None or value <= high)


def _number(number: Span, parameter: Parameter) -> int | float:
    value = number_value(number)
    return int(value) if parameter.kind == "integer" or value.is_integer() else value
