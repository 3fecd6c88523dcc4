"""Every parameter of a chat request: what is taken, what is refused, and by which name."""

from typing import Any

import pytest

from pais_lite.api.chat_request import read_chat_request
from pais_lite.api.delegated import Origin
from pais_lite.errors import InvalidRequest
from tests.support.asgi import chat

TAKEN: dict[str, tuple[str, list[Any], list[Any]]] = {
    "temperature": ("temperature", [0, 0.5, 2], ["1", True, -0.1, [], {}, 10**400, float("inf")]),
    "top_p": ("top_p", [0, 1, 0.3], ["1", False, 1.1, -1]),
    "max_tokens": ("max_tokens", [1, 5000], [0, -1, 1.5, "5", True, 10**30]),
    "max_completion_tokens": ("max_tokens", [1], [0, "5", None.__class__]),
    "seed": ("seed", [0, -5, 2**63 - 1], [1.0, "1", True, 2**63]),
    "presence_penalty": ("presence_penalty", [-2, 2, 0.0], [-2.1, 3, "0"]),
    "frequency_penalty": ("frequency_penalty", [-2, 2, 0.0], [-2.1, 3, "0", float("nan")]),
    "logit_bias": (
        "logit_bias",
        [{}, {"50256": -100}],
        [[], {"1": 101}, {"1": "x"}, {"1": 0.5}, {"1": True}],
    ),
    "parallel_tool_calls": ("parallel_tool_calls", [True, False], [1, "true", []]),
    "reasoning_effort": ("openai_reasoning_effort", ["low"], [1, ["low"]]),
    "service_tier": ("openai_service_tier", ["auto"], [1]),
    "user": ("openai_user", ["u-1"], [1, {}]),
}


def read(body: Any, header: str | None = None) -> Any:
    return read_chat_request(
        body, session_header=header, owner="user", default_model="agent", origin=Origin()
    )


@pytest.mark.parametrize(
    ("name", "setting", "value"), [(n, s, v) for n, (s, good, _) in TAKEN.items() for v in good]
)
def test_taken_and_forwarded(name: str, setting: str, value: Any) -> None:
    assert read(chat(**{name: value})).run.model_settings == {setting: value}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, (_, _, bad) in TAKEN.items() for v in bad])
def test_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(chat(**{name: value}))
    assert caught.value.param == name


@pytest.mark.parametrize("name", [*TAKEN, "stop", "n", "stream", "stream_options", "model", "session_id"])
def test_null_is_as_good_as_nothing(name: str) -> None:
    assert read({**chat(), name: None}).run.model_settings == {}


@pytest.mark.parametrize("value", ["x", ["x"], ["x", "y"]])
def test_stop(value: Any) -> None:
    expected = [value] if isinstance(value, str) else value
    assert read(chat(stop=value)).run.model_settings == {"stop_sequences": expected}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stop", 5), ("stop", []), ("stop", [1]), ("stop", ["x"] * 17), ("n", 0), ("n", 2), ("n", "1"), ("n", True),
        ("stream", 1), ("stream", "true"), ("stream_options", []), ("model", 5), ("model", ["m"]), ("session_id", 5),
    ],
)  # fmt: skip
def test_other_fields_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(chat(**{name: value}))
    assert caught.value.param == name


def test_newer_name_of_the_token_limit_wins() -> None:
    assert read(chat(max_tokens=5, max_completion_tokens=7)).run.model_settings == {"max_tokens": 7}


def test_unknown_parameters_are_ignored() -> None:
    assert read(chat(store=True, metadata={"a": 1}, frobnicate=[])).run.model_settings == {}


def test_session_of_the_header_wins_and_makes_memory_the_history() -> None:
    body = {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            *chat()["messages"],
        ]
    }
    assert read(body).run.history is not None
    assert read(body, "h").run.history is None
    assert read({**body, "session_id": "b"}, "h").run.session_id == "h"
    assert read({**body, "session_id": "b"}).run.session_id == "b"
    assert read(body).run.session_id != read(body).run.session_id
