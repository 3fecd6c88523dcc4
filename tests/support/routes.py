"""What every route takes, as strategies: valid requests, and requests with one thing wrong.

The server says which routes it has; one that is not described here fails the test of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

__all__ = ["DESCRIPTIONS", "INTERNALS", "Described", "Sent"]

# What no answer may hold. Nobody sends it either: some answers say again what was sent.
INTERNALS = ("Traceback", "site-packages", ".py")


@dataclass(frozen=True)
class Sent:
    """A request to a route: what takes the place of its parameters, and the rest."""

    params: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True)
class Described:
    """Valid requests and the statuses they may get; wrong ones get 4xx. Of open routes, nothing asks for a key."""

    valid: st.SearchStrategy[Sent]
    statuses: frozenset[int] = frozenset({200})
    wrong: st.SearchStrategy[Sent] | None = None
    is_open: bool = False


def _tells_nothing(text: str) -> bool:
    return not any(inner in text for inner in INTERNALS)


_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(_tells_nothing)
_session_ids = st.from_regex(r"[A-Za-z0-9._:@-]{1,40}", fullmatch=True).filter(_tells_nothing)
_wrong_session_ids = st.sampled_from(["", " ", "a b", "a/b", "é", "a" * 129, "a\tb", "%0d%0a", "../x"])
_limits = st.integers(1, 10**9 - 1).map(str)
_wrong_limits = st.sampled_from(["", "0", "-1", "1.5", "x", "²", "9" * 5000, "0x1", " ", "1e3", "\x00"])
_tokens = {"temperature": st.floats(0, 2), "top_p": st.floats(0, 1), "max_tokens": st.integers(1, 10**6)}
_options = {
    **_tokens,
    "max_completion_tokens": st.integers(1, 10**6),
    "stop": _texts | st.lists(_texts, min_size=1, max_size=4),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "presence_penalty": st.floats(-2, 2),
    "frequency_penalty": st.floats(-2, 2),
    "logit_bias": st.dictionaries(st.integers(0, 50_000).map(str), st.integers(-100, 100), max_size=3),
    "parallel_tool_calls": st.booleans(),
    "reasoning_effort": st.sampled_from(["low", "high"]),
    "service_tier": st.just("auto"),
    "user": _texts,
    "model": _texts,
    "n": st.just(1),
    "stream": st.booleans(),
    "stream_options": st.fixed_dictionaries({}, optional={"include_usage": st.booleans()}),
    "session_id": _session_ids,
    "nobody_knows_this": st.none() | st.booleans() | _texts,
}
_parts = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": _texts}), min_size=1, max_size=3)
_turns = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": _texts}
)
_prompts = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "task-delegation"]), "content": _texts | _parts}
)
_messages = st.builds(lambda turns, prompt: [*turns, prompt], st.lists(_turns, max_size=3), _prompts)
_chats = st.fixed_dictionaries({"messages": _messages}, optional=_options)
_not_a_number = st.sampled_from(["1", [], {}, True, "x", -101])
_wrong_fields = st.one_of(
    st.tuples(
        st.just("messages"), st.sampled_from([None, [], {}, "hi", 5, [None], [{}], [{"role": "user"}]])
    ),
    st.tuples(
        st.just("messages"),
        st.sampled_from(
            [
                [{"role": "assistant", "content": "hi"}],
                [{"role": "system", "content": "hi"}],
                [{"role": "user", "content": 5}],
                [{"role": "user", "content": [{"type": "nothing"}]}],
            ]
        ),
    ),
    st.tuples(
        st.sampled_from(["temperature", "top_p", "seed", "max_tokens", "presence_penalty"]), _not_a_number
    ),
    st.tuples(st.sampled_from(["stream", "parallel_tool_calls"]), st.sampled_from(["true", 1, 0, [], {}])),
    st.tuples(st.sampled_from(["model", "user", "reasoning_effort"]), st.sampled_from([5, [], {}, True])),
    st.tuples(st.just("model"), st.just("m" * 257)),
    st.tuples(st.just("n"), st.sampled_from([0, 2, "1", True, 1.5])),
    st.tuples(st.just("stop"), st.sampled_from([[], [5], {}, 5, ["a"] * 17])),
    st.tuples(st.just("logit_bias"), st.sampled_from([[], {"1": 101}, {"1": "1"}, 5])),
    st.tuples(st.just("stream_options"), st.sampled_from([[], 5, "x", {"include_usage": 1}])),
    st.tuples(st.just("session_id"), _wrong_session_ids | st.sampled_from([5, [], {}])),
)


def _break(chat: dict[str, Any], wrong: tuple[str, Any]) -> Sent:
    name, value = wrong
    if name == "seed" and value == -101:
        value = 2**63
    return Sent(body={**chat, name: value})


_NO_CHATS: list[Sent] = [
    *(Sent(body=body) for body in (None, "x", 5)),
    Sent(body=[]),
    *(Sent(body=body) for body in (b"{", b"\xff", b"[" * 100_000, b"{}x")),
]
_chat = Described(
    valid=st.builds(
        lambda body, headers: Sent(body=body, headers=headers),
        _chats,
        st.fixed_dictionaries({}, optional={"x-session-id": _session_ids}),
    ),
    wrong=st.one_of(
        st.builds(_break, _chats.filter(lambda chat: "session_id" not in chat), _wrong_fields),
        st.sampled_from(_NO_CHATS),
        st.builds(
            lambda body, headers: Sent(body=body, headers=headers),
            _chats,
            st.sampled_from(
                [
                    {"content-type": "text/plain"},
                    {"content-encoding": "gzip"},
                    *({"x-session-id": wrong} for wrong in ("a b", "é", "a" * 129, "a,b")),
                ]
            ),
        ),
    ),
)
_anything = st.builds(
    lambda query: Sent(query=query), st.dictionaries(_texts, _texts, max_size=2)
)  # of a route that takes nothing
_card = Described(
    valid=st.builds(
        lambda headers: Sent(headers=headers),
        st.fixed_dictionaries(
            {}, optional={"if-none-match": st.sampled_from(["*", '"x"', 'W/"x", "y"', ""])}
        ),
    ),
    statuses=frozenset({200, 304}),
    is_open=True,
)

_unknown_ids = st.from_regex(r"resp_[0-9a-f]{32}", fullmatch=True) | st.sampled_from(
    ["x", "é", "\x00", "..", "%", " "]
)
_stored_response = Described(
    # There is none yet whose id could be known; that there is none is the answer.
    valid=st.builds(lambda name: Sent(params={"id": name}), _unknown_ids),
    statuses=frozenset({404}),
)
_items = st.lists(
    st.builds(
        lambda role, text: {"type": "message", "role": role, "content": text},
        st.sampled_from(["system", "developer", "user"]),
        _texts,
    ),
    max_size=3,
)
_inputs = _texts | st.builds(lambda items, text: [*items, {"role": "user", "content": text}], _items, _texts)
_responses = st.fixed_dictionaries(
    {"input": _inputs},
    optional={
        "model": _texts,
        "instructions": _texts,
        "stream": st.booleans(),
        "store": st.booleans(),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "max_output_tokens": st.integers(1, 10**6),
        "metadata": st.dictionaries(_session_ids, _texts, max_size=3),
        "conversation": _session_ids | st.builds(lambda name: {"id": name}, _session_ids),
        "truncation": st.sampled_from(["auto", "disabled"]),
    },
)
_wrong_response_fields = st.one_of(
    st.tuples(st.just("input"), st.sampled_from([None, 5, {}, [5], [None], [{"type": "nothing"}], True])),
    st.tuples(st.just("temperature"), _not_a_number),
    st.tuples(st.sampled_from(["stream", "store", "background"]), st.sampled_from(["true", 5, [], {}])),
    st.tuples(st.sampled_from(["instructions", "model"]), st.sampled_from([5, {}, True])),
    st.tuples(st.just("metadata"), st.sampled_from([[], 5, "x", {"a": 5}])),
    st.tuples(st.just("truncation"), st.sampled_from([5, "x", []])),
    st.tuples(st.just("conversation"), st.sampled_from([5, [], {}, {"id": 5}]) | _wrong_session_ids),
    st.tuples(st.just("max_output_tokens"), _not_a_number),
)

DESCRIPTIONS: Mapping[str, Described] = {
    "GET /": Described(_anything, is_open=True),
    # JSON-RPC says what is wrong in its own words, with 200.
    "POST /": Described(
        st.builds(
            lambda number, method, params: Sent(
                body={"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            ),
            st.integers(0, 10**6),
            st.sampled_from(["tasks/get", "GetTask", "tasks/cancel", "nothing", "ListTasks"]) | _texts,
            st.sampled_from([{}, {"id": "x"}, {"id": 5}, {"id": None, "a": []}]),
        )
    ),
    "GET /health": Described(_anything, is_open=True),
    "GET /ready": Described(_anything, is_open=True),
    "GET /.well-known/agent.json": _card,
    "GET /.well-known/agent-card.json": _card,
    "GET /tools": Described(_anything),
    "GET /v1/models": Described(_anything),
    "GET /v1/models/{id:path}": Described(
        valid=st.just(Sent(params={"id:path": "described"})),
        wrong=st.builds(lambda name: Sent(params={"id:path": name}), _texts.filter(lambda text: text != "described")),
    ),
    "POST /v1/chat/completions": _chat,
    "POST /v1/responses": Described(
        valid=st.builds(lambda body: Sent(body=body), _responses),
        wrong=st.builds(
            lambda body, wrong: Sent(body={**body, wrong[0]: wrong[1]}), _responses, _wrong_response_fields
        ),
    ),
    "GET /v1/responses/{id}": _stored_response,
    "DELETE /v1/responses/{id}": _stored_response,
    "POST /v1/responses/{id}/cancel": _stored_response,
    "GET /v1/responses/{id}/input_items": _stored_response,
    "GET /memory/sessions": Described(
        valid=st.builds(
            lambda query: Sent(query=query),
            st.fixed_dictionaries({}, optional={"limit": _limits, "user_id": _texts}),
        ),
        wrong=st.one_of(
            st.builds(lambda limit: Sent(query={"limit": limit}), _wrong_limits),
            st.builds(lambda cursor: Sent(query={"cursor": cursor}), st.sampled_from(["", "x", "~", "2024-01-01", "\x00"])),
        ),
    ),
    "GET /memory/events": Described(
        valid=st.builds(
            lambda query: Sent(query=query),
            st.fixed_dictionaries({}, optional={"limit": _limits, "session_id": _session_ids | _texts}),
        ),
        wrong=st.builds(lambda limit: Sent(query={"limit": limit}), _wrong_limits),
    ),
    "DELETE /memory/sessions/{id}": Described(
        valid=st.builds(lambda session: Sent(params={"id": session}), _session_ids),
        statuses=frozenset({200, 404}),
        wrong=st.builds(lambda session: Sent(params={"id": session}), st.sampled_from(["a/b", "é", "\x00", " ", "..", "%"])),
    ),
}  # fmt: skip
