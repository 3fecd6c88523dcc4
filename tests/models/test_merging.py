"""Any bytes in any pieces: what comes out reads the same, and what is not plain text comes out as it was."""

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pais_lite.models.merging import MAX_HELD_BYTES, DeltaMerger


def chunk(
    delta: dict[str, Any], *, choice: dict[str, Any] | None = None, raw: bool = False, **fields: Any
) -> bytes:
    document = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None, **(choice or {})}],
        **fields,
    }
    return json.dumps(document, ensure_ascii=not raw, separators=(",", ":")).encode()


def event(delta: dict[str, Any], *, end: bytes = b"\n\n", **more: Any) -> bytes:
    return b"data: " + chunk(delta, **more) + end


def text_event(text: str, **more: Any) -> bytes:
    return event({"content": text}, **more)


def merged(*pieces: bytes) -> bytes:
    merger = DeltaMerger()
    return b"".join(merger.feed(piece) for piece in pieces) + merger.flush()


def texts(stream: bytes) -> list[str]:
    return [
        json.loads(line[5:])["choices"][0]["delta"]["content"]
        for line in stream.splitlines()
        if line.startswith(b"data:")
    ]


# ------------------------------------------------------------------------------------------------ what is joined


def test_waiting_texts_become_one() -> None:
    assert merged(text_event("Hel") + text_event("lo") + text_event(" you")) == text_event("Hello you")


def test_each_reasoning_field_joins_its_own_kind() -> None:
    stream = b"".join(
        event({key: text})
        for key in ("reasoning_content", "reasoning", "content")
        for text in ("a", " ", "b")
    )
    assert merged(stream) == b"".join(
        event({key: "a b"}) for key in ("reasoning_content", "reasoning", "content")
    )


def test_reasoning_that_comes_under_both_names_is_joined_under_both() -> None:
    stream = b"".join(event({"reasoning": text, "reasoning_content": text}) for text in ("a", "b"))
    assert merged(stream) == event({"reasoning": "ab", "reasoning_content": "ab"})


def test_reasoning_that_differs_between_its_names_stays_apart() -> None:
    stream = event({"reasoning": "a", "reasoning_content": "a"}) + event(
        {"reasoning": "b", "reasoning_content": "c"}
    )
    assert merged(stream) == stream


@pytest.mark.parametrize(
    "more",
    [
        {"usage": None},
        {"system_fingerprint": None, "service_tier": "default"},
        {"choice": {"logprobs": None}},
        {"choice": {"native_finish_reason": None}, "provider": "somebody"},
        {"raw": True},
        {"end": b"\r\n\r\n"},
    ],
)
def test_what_says_the_same_in_every_chunk_stays(more: dict[str, Any]) -> None:
    assert merged(text_event("é", **more) + text_event("😀", **more)) == text_event("é😀", **more)


def test_role_and_nulls_in_every_delta_stay() -> None:
    delta = {"role": "assistant", "reasoning_content": None, "tool_calls": None, "refusal": None}
    stream = event({**delta, "content": "a"}) + event({**delta, "content": "b"})
    assert merged(stream) == event({**delta, "content": "ab"})


def test_padding_is_the_first_one() -> None:
    stream = text_event("a", obfuscation="xyz") + text_event("b", obfuscation="q")
    assert merged(stream) == text_event("ab", obfuscation="xyz")


def test_data_without_a_space_is_joined() -> None:
    stream = b"".join(b"data:" + chunk({"content": text}) + b"\n\n" for text in "ab")
    assert merged(stream) == b"data:" + chunk({"content": "ab"}) + b"\n\n"


def test_escapes_stay_as_they_are_written() -> None:
    stream = text_event('say "') + text_event("a\\") + text_event('"\n')
    assert texts(merged(stream)) == ['say "a\\"\n']


def test_text_that_spells_a_chunk_is_text() -> None:
    wicked = chunk({"content": "x"}).decode()
    stream = text_event(wicked) + text_event(wicked) + text_event("y")
    assert texts(merged(stream)) == [wicked + wicked + "y"]


def test_event_that_is_cut_is_joined_when_its_end_comes() -> None:
    stream = text_event("a") + text_event("b") + text_event("c") + text_event("d")
    merger = DeltaMerger()
    assert merger.feed(stream[: len(text_event("a")) * 2 + 30]) == text_event("ab")
    assert merger.feed(stream[len(text_event("a")) * 2 + 30 :]) == text_event("cd")
    assert merger.flush() == b""


# --------------------------------------------------------------------------------------------- what is not joined


@pytest.mark.parametrize(
    "stranger",
    [
        b": a comment\n\n",
        b"\n",
        b"data: [DONE]\n\n",
        b"event: ping\ndata: {}\n\n",
        b"id: 7\n" + text_event("x"),
        b"retry: 10\n\n",
        b"data: not json\n\n",
        b"data: " + b"[" * 5000 + b'"delta"\n\n',
        b'data: {"delta": NaN}\n\n',
        b"data: {\ndata: }\n\n",
        text_event("x", usage={"completion_tokens": 3}),
        text_event("x", x_vendor={"tokens": 1}),
        text_event("x", error={"message": "no"}),
        text_event("x", created=2),
        text_event("x", id="c2"),
        text_event("x", choice={"finish_reason": "stop"}),
        text_event("x", choice={"logprobs": {"content": []}}),
        text_event("x", choice={"index": 1}),
        text_event("x", choice={"index": False}),
        text_event("x", choice={"token_ids": [1]}),
        event({"content": "x", "reasoning_content": "y"}),
        event({"content": "x", "vendor": None}),
        event({"content": "x", "role": "tool"}),
        event({"content": ["x"]}),
        event({"content": None}),
        event({}),
        event({"content": "x", "tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": '"content":"'}}]}),
        b'data: {"choices":[{"index":0,"delta":null}]}\n\n',
        b'data: {"choices":null,"delta":0}\n\n',
        b'data: ["delta"]\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"bad \\x escape"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"\xc3"}}]}\n\n',
        text_event("\ud83d"),
        text_event("<think>"),
        text_event("</think>"),
        text_event("x", end=b"\r\r"),
        text_event("x", end=b"\r\n\n"),
        text_event("x", end=b"\n\r\n"),
    ],
)
def test_strangers_pass_as_they_are_between_the_joined(stranger: bytes) -> None:
    before, after = text_event("a") + text_event("b"), text_event("c") + text_event("d")
    stream = before + stranger + after
    assert merged(stream) == text_event("ab") + stranger + text_event("cd")
    assert merged(*(stream[i : i + 1] for i in range(len(stream)))) == stream


def test_pair_of_surrogates_in_two_deltas_does_not_become_a_character() -> None:
    stream = text_event("a") + text_event("\ud83d") + text_event("\ude00") + text_event("b")
    assert merged(stream) == stream


def test_character_cut_by_the_deltas_stays_the_error_that_it_is() -> None:
    cut = [text_event("a").replace(b'"a"', b'"%b"' % half) for half in (b"\xc3", b"\xa9")]
    stream = text_event("x") + text_event("y") + cut[0] + cut[1]
    assert merged(stream) == text_event("xy") + cut[0] + cut[1]


@pytest.mark.parametrize("tag", ["<think>", "</think>", "[THINK]", "◁/think▷"])
@pytest.mark.parametrize("raw", [True, False])
def test_joining_makes_no_tag_and_hides_none(tag: str, raw: bool) -> None:
    for pieces in ([tag[0], tag[1:-1], tag[-1]], ["a", tag, "b"], [tag, tag]):
        stream = b"".join(text_event(piece, raw=raw) for piece in pieces)
        assert merged(stream) == stream


def test_go_servers_escape_their_tags() -> None:
    escaped = text_event("X").replace(b"X", rb"\u003cthink\u003e")
    assert merged(text_event("a") + escaped + text_event("b")) == text_event("a") + escaped + text_event("b")


def test_white_space_before_the_first_text_stays_apart() -> None:
    stream = [text_event(text) for text in ("", "\n\n", " ", "\u2003", "Hi", "\n", "you")]
    assert merged(b"".join(stream)) == b"".join(stream[:4]) + text_event("Hi\nyou")


def test_white_space_after_a_tool_call_stays_apart() -> None:
    call = event({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{}"}}]})
    stream = text_event("a") + text_event("b") + call + text_event("\n") + text_event("c") + text_event("d")
    assert merged(stream) == text_event("ab") + call + text_event("\n") + text_event("cd")


# --------------------------------------------------------------------------------------------------- nothing waits


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_each_whole_event_leaves_with_the_read_that_ends_it(end: bytes) -> None:
    merger = DeltaMerger()
    for text in ("a", "b", "c"):
        assert merger.feed(text_event(text, end=end)) == text_event(text, end=end)


def test_reply_split_inside_crlf_leaves_at_once() -> None:
    first, second = text_event("a", end=b"\r\n\r\n"), text_event("b", end=b"\r\n\r\n")
    merger = DeltaMerger()
    assert merger.feed(first[:-1]) == first[:-1]
    assert merger.feed(first[-1:] + second + second) == b"\n" + text_event("bb", end=b"\r\n\r\n")


def test_comment_without_an_end_leaves_at_once() -> None:
    merger = DeltaMerger()
    assert merger.feed(b": ping\n") == b": ping\n"
    assert merger.feed(text_event("a")) == text_event("a")


def test_endless_event_is_not_hoarded() -> None:
    merger = DeltaMerger()
    begun = b"data: " + b"x" * (MAX_HELD_BYTES - 6)
    assert merger.feed(begun) == b""
    assert merger.feed(b"x") == begun + b"x"
    assert merger.feed(b"x") == b"x"
    assert merger.feed(b"\n\n" + text_event("a") + text_event("b")) == b"\n\n" + text_event("ab")


def test_stream_that_ends_within_an_event_keeps_its_tail() -> None:
    stream = text_event("a") + text_event("b")[:-1]
    assert merged(stream) == stream


# ------------------------------------------------------------------------------------------------------ properties


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[start:end] for start, end in itertools.pairwise(edges)]


SCRAPS = st.sampled_from(
    [
        *(text_event(text) for text in ("a", " b", "\n", "", "<", "think>", "é", '"', "\ud83d")),
        *(text_event(text, end=b"\r\n\r\n", raw=True) for text in ("a", "é", "😀")),
        *(event({"reasoning": text}) for text in ("r", "\n")),
        text_event("x", end=b"\r\r"),
        *(
            b"data: ",
            b"data:",
            b'{"delta"',
            b"\n",
            b"\r",
            b"\r\n",
            b": c",
            b'"}',
            b"\xc3",
            b"id: 1\n",
            b"[DONE]",
        ),
    ]
)


def said(stream: bytes) -> list[Any]:
    """Return what a reader of server-sent events makes of it, texts of one kind run together."""
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    heard: list[Any] = []
    block: list[bytes] = []
    for line in lines:
        if line:
            block.append(line)
            continue
        try:
            document = json.loads(b"\n".join(block).removeprefix(b"data:"))
            ((kind, text),) = document["choices"][0].pop("delta").items()
        except (ValueError, TypeError, KeyError, AttributeError):
            heard += [block] if block else []
        else:
            if heard and isinstance(heard[-1], tuple) and heard[-1][:2] == (kind, document):
                text = heard.pop()[2] + text
            heard.append((kind, document, text))
        block = []
    return [*heard, block]


@given(st.lists(SCRAPS, max_size=30), st.lists(st.integers(0, 10_000), max_size=10))
def test_any_bytes_in_any_pieces_read_the_same(scraps: list[bytes], places: list[int]) -> None:
    stream = b"".join(scraps)
    assert said(merged(*cut(stream, places))) == said(stream)


@given(st.binary(), st.lists(st.integers(0, 100), max_size=5))
def test_bytes_without_a_meaning_pass_as_they_are(noise: bytes, places: list[int]) -> None:
    assert merged(*cut(noise, places)) == noise
