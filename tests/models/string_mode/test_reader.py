"""Answers in all the shapes that models write them, whole and cut into pieces."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pais_lite.models.string_mode.calls import Call
from pais_lite.models.string_mode.reader import AnswerReader, Text

TOOLS = {"get_weather": ["city"], "add": ["a", "b"], "now": []}
PARIS = [Call("get_weather", {"city": "Paris"})]


def read(*pieces: str, enveloped: bool = False) -> list[Text | Call]:
    reader = AnswerReader(TOOLS, enveloped=enveloped)
    items: list[Text | Call] = []
    for piece in pieces:
        items.extend(reader.feed(piece))
    items.extend(reader.finish())
    joined: list[Text | Call] = []
    for item in items:
        if isinstance(item, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = Text(joined[-1].content + item.content)
        else:
            joined.append(item)
    return joined


CALLS: list[tuple[str, list[Text | Call]]] = [
    ('{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}]}', [*PARIS]),
    (
        '{"tool_calls": [{"id": "x", "type": "function", "function": {"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}}]}',
        [*PARIS],
    ),
    ('{"name": "get_weather", "arguments": {"city": "Paris"}}', [*PARIS]),
    ('{"name": "get_weather", "parameters": {"city": "Paris"}}', [*PARIS]),
    ('{"tool": "get_weather", "city": "Paris"}', [*PARIS]),
    ('{"get_weather": {"city": "Paris"}}', [*PARIS]),
    ('{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}', [*PARIS]),
    ('{"tool_call": {"name": "get_weather", "arguments": {"city": "Paris"}}}', [*PARIS]),
    ('{"name": "get_weather", "arguments": "Paris"}', [*PARIS]),
    ('[{"name": "get_weather", "arguments": {"city": "Paris"}}]', [*PARIS]),
    ('```json\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n```', [*PARIS]),
    ('```\n{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}]}\n```\nDone!', [*PARIS]),
    ('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>', [*PARIS]),
    ('[TOOL_CALLS] [{"name": "get_weather", "arguments": {"city": "Paris"}}]', [*PARIS]),
    ('[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]', [*PARIS]),
    ("{'name': 'get_weather', 'arguments': {'city': 'Paris'}}", [*PARIS]),
    ('{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris",},},]}', [*PARIS]),
    ('{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"', [*PARIS]),
    ('{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}', [*PARIS]),
    ('{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}}', [*PARIS]),
    ('{"name": "now"}', [Call("now", {})]),
    ('{"name": "now", "arguments": null}', [Call("now", {})]),
    ('{"tool_calls": [{"name": "no_such_tool", "arguments": {"x": 1}}]}', [Call("no_such_tool", {"x": 1})]),
    (
        '{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Paris"}}, {"name": "now", "arguments": {}}]}',
        [*PARIS, Call("now", {})],
    ),
    (
        '{"name": "get_weather", "arguments": {"city": "Paris"}}\n{"name": "add", "arguments": {"a": 1, "b": 2}}',
        [*PARIS, Call("add", {"a": 1, "b": 2})],
    ),
    (
        '<tool_call>{"name": "now", "arguments": {}}</tool_call>\n<tool_call>{"name": "now", "arguments": {}}</tool_call>',
        [Call("now", {}), Call("now", {})],
    ),
    (
        'Let me look.\n\n{"name": "get_weather", "arguments": {"city": "Paris"}} It is sunny.',
        [Text("Let me look."), *PARIS],
    ),
    (
        'Sure: ```json\n{"tool_calls": [{"name": "now", "arguments": {}}]}\n```',
        [Text("Sure:"), Call("now", {})],
    ),
    (
        '{"name": "get_weather", "arguments": {"city": "a } b \\" ] c"}}',
        [Call("get_weather", {"city": 'a } b " ] c'})],
    ),
    (
        '{"name": "get_weather", "arguments": {"city": "two\nlines"}}',
        [Call("get_weather", {"city": "two\nlines"})],
    ),
    ('{"name": "add", "arguments": {"a": True, "b": None}}', [Call("add", {"a": True, "b": None})]),
]

PROSE = [
    "Hello!",
    "  spaces before, and after  \n",
    "Use `code`, ``more`` and\n```python\nprint({'a': 1})\n```\nthen go on.",
    'The answer as JSON: {"city": "Paris", "sunny": true}.',
    '{"name": "Alice", "age": 3}',
    '```json\n{"name": "Alice"}\n``` is a record',
    "a < b, x[1] and {curly} {",
    "[link](https://example.com) and [1, 2, 3]",
    '{"type": "object", "properties": {}}',
    "{",
    "`",
    "x" * 300 + " " * 200 + "y",
]


@pytest.mark.parametrize(("answer", "expected"), CALLS)
def test_call_is_read(answer: str, expected: list[Text | Call]) -> None:
    assert read(answer) == expected


@pytest.mark.parametrize(("answer", "expected"), CALLS)
def test_call_is_read_byte_by_byte(answer: str, expected: list[Text | Call]) -> None:
    assert read(*answer) == expected


@pytest.mark.parametrize("answer", PROSE)
def test_prose_stays_as_it_is(answer: str) -> None:
    assert read(answer) == [Text(answer)]
    assert read(*answer) == [Text(answer)]


@pytest.mark.parametrize(
    "answer",
    [
        '{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Par',
        '{"name": "get_weather", "arguments": {"ci',
        '{"name": "get_weather", "arguments": {"city":',
        '{"name": "add", "arguments": {"a": 1',
        '{"tool_calls": [{"name": "add", "arguments": {"a": [{"b": 1}, {"b": 2}',
        '{"name": "add", "arguments": {"a": ["x", "y"',
    ],
)
def test_cut_off_value_never_passes_for_whole(answer: str) -> None:
    (call,) = read(answer)
    assert isinstance(call, Call)
    assert isinstance(call.arguments, str)
    with pytest.raises(ValueError, match=r".*"):
        json.loads(call.arguments)


@pytest.mark.parametrize(
    "answer",
    [
        '{"tool_calls": [{"na',
        '{"tool_c',
        '{"name": "get_wea',
        '{"name": "get_weather", "argum',
        '{"tool_calls": [',
    ],
)
def test_call_that_cannot_be_known_is_not_text_either(answer: str) -> None:
    assert read(answer) == []


def test_text_goes_out_before_the_call_is_decided() -> None:
    reader = AnswerReader(TOOLS)
    assert reader.feed("Let me ") == [Text("Let me")]
    assert reader.feed("look. {") == [Text(" look.")]
    assert reader.feed('"name": "n') == []
    assert reader.feed('ow"}') == [Call("now", {})]
    assert reader.finish() == []


def test_json_that_is_no_call_is_let_go_at_its_first_key() -> None:
    reader = AnswerReader(TOOLS)
    assert reader.feed('{"c') == []
    assert reader.feed("o") == [Text('{"co')]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"text": "Hello"}', [Text("Hello")]),
        ('{ "text" : "a \\"b\\" \\n\\u00e9 \\ud83d\\ude00 \\\\"}\n', [Text('a "b" \n\u00e9 \U0001f600 \\')]),
        ('{"text": ""}', []),
        ('{"text": "cut o', [Text("cut o")]),
        ('{"text": "half \\ud83d"}', [Text("half \ufffd")]),
        ('{"tool_calls": [{"name": "now", "arguments": {}}]}', [Call("now", {})]),
        (
            '{"text": "I look.", "tool_calls": [{"name": "now", "arguments": {}}]}',
            [Text("I look."), Call("now", {})],
        ),
        # The endpoint took the schema and ignored it.
        ("Plain after all.", [Text("Plain after all.")]),
        ('{"textual": 1}', [Text('{"textual": 1}')]),
    ],
)
def test_text_in_an_envelope(answer: str, expected: list[Text | Call]) -> None:
    assert read(answer, enveloped=True) == expected
    assert read(*answer, enveloped=True) == expected


def test_text_in_an_envelope_is_streamed() -> None:
    reader = AnswerReader(TOOLS, enveloped=True)
    assert reader.feed('{"text": "Hel') == [Text("Hel")]
    assert reader.feed("lo \\") == [Text("lo ")]
    assert reader.feed("n") == [Text("\n")]
    assert reader.feed('!"}') == [Text("!")]


FRAGMENTS = st.sampled_from(
    [text for text, _ in CALLS]
    + PROSE
    + [
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "\\",
        "`",
        "```",
        "```json\n",
        "<tool_call>",
        "<",
        '{"na',
        '{"text": "',
        "\n",
        " ",
    ]
    + ['{"tool_calls"', ": ", "\\u", "\\ud83d", "d83d", ",", '"name"', "é", "😀", " " * 70]
)


@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=8)), max_size=6).map("".join), st.data(), st.booleans())
@example('{"text"' + " " * 300 + ': "x"}', None, True)
def test_any_cutting_reads_the_same(answer: str, data: Any, enveloped: bool) -> None:
    """However an answer is cut, the same comes out."""
    whole = read(answer, enveloped=enveloped)
    assert read(*answer, enveloped=enveloped) == whole
    if data is None:
        return
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=6)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    assert read(*pieces, enveloped=enveloped) == whole


@given(
    st.text(alphabet=st.characters(exclude_characters="{[`<", exclude_categories=["Cs"]), max_size=40),
    st.sampled_from([text for text, _ in CALLS]),
    st.data(),
)
def test_no_piece_of_a_call_leaks_as_text(before: str, call: str, data: Any) -> None:
    """Whatever comes before a call, nothing of its JSON is ever text."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(before + call)), max_size=8)))
    answer = before + call
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    said = "".join(item.content for item in read(*pieces) if isinstance(item, Text))
    assert before.startswith(said) or said.strip() in ("Let me look.", "Sure:") or said.startswith(before)
    assert "{" not in said
    assert "`" not in said
