"""The fields that several protocols of the OpenAI API have in common, read and checked."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic_ai.settings import ModelSettings

from pais_lite.errors import InvalidRequest

__all__ = [
    "CHAT_SETTINGS",
    "RESPONSES_SETTINGS",
    "Setting",
    "optional",
    "read_model",
    "read_model_settings",
    "read_session_id",
]

T = TypeVar("T")

_MAX_MODEL_LENGTH = 256
_SESSION_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter of a request that goes to the model: its name in the model settings, and what it may be."""

    name: str
    accepts: Callable[[object], bool]
    expected: str


def optional(body: Mapping[str, Any], name: str, kind: type[T], default: T) -> T:
    """Return a field, `default` where it is missing or null. Raises `InvalidRequest` for another kind of value."""
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise InvalidRequest(f"{name} has to be {_KIND_NAMES[kind]}", param=name)
    return value


def read_model(body: Mapping[str, Any], default: str) -> str:
    """Return `model`, `default` where there is none. Raises `InvalidRequest` where it is no short string."""
    model = optional(body, "model", str, "") or default
    if len(model) > _MAX_MODEL_LENGTH:
        # It is echoed in every chunk of a stream.
        raise InvalidRequest(f"model has to be at most {_MAX_MODEL_LENGTH} characters long", param="model")
    return model


def read_session_id(*candidates: object, param: str = "session_id") -> str | None:
    """Return the first session id that is given at all, and raise `InvalidRequest` where it is none."""
    for session_id in candidates:
        if session_id is None:
            continue
        if not isinstance(session_id, str) or not _SESSION_ID.fullmatch(session_id):
            raise InvalidRequest(
                "a session id is 1 to 128 letters, digits, and characters of ._:@-",
                param=param,
                code="invalid_session_id",
            )
        return session_id
    return None


def read_model_settings(body: Mapping[str, Any], known: Mapping[str, Setting]) -> ModelSettings:
    """Read the parameters that go to the model; of two with one meaning, the later in `known` wins.

    Raises:
        InvalidRequest: one is not what it has to be; `param` names it.
    """
    settings: dict[str, Any] = {}
    for name, setting in known.items():
        value = body.get(name)
        if value is None:
            continue
        if not setting.accepts(value):
            raise InvalidRequest(f"{name} has to be {setting.expected}", param=name)
        is_one = setting.name == "stop_sequences" and isinstance(value, str)
        settings[setting.name] = [value] if is_one else value
    return cast("ModelSettings", settings)


def _is_number(low: float, high: float) -> Callable[[object], bool]:
    def accepts(value: object) -> bool:
        # Compared, never converted: a whole number of JSON can be too large for a float. NaN compares false.
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return accepts


def _is_integer(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_stop(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and 1 <= len(value) <= 16 and all(isinstance(item, str) for item in value)
    )


def _is_logit_bias(value: object) -> bool:
    accepts = _is_integer(-100, 100)
    return isinstance(value, dict) and all(accepts(bias) for bias in value.values())


_KIND_NAMES: dict[type, str] = {dict: "an object", bool: "true or false", str: "a string"}
_INT64 = 2**63
# By the name in the request.
CHAT_SETTINGS: Mapping[str, Setting] = {
    "temperature": Setting("temperature", _is_number(0, 100), "a number of at least 0"),
    "top_p": Setting("top_p", _is_number(0, 1), "a number from 0 to 1"),
    "max_tokens": Setting("max_tokens", _is_integer(1, _INT64 - 1), "a whole number of at least 1"),
    "max_completion_tokens": Setting(
        "max_tokens", _is_integer(1, _INT64 - 1), "a whole number of at least 1"
    ),
    "stop": Setting("stop_sequences", _is_stop, "a string or a list of 1 to 16 strings"),
    "seed": Setting("seed", _is_integer(-_INT64, _INT64 - 1), "a whole number"),
    "presence_penalty": Setting("presence_penalty", _is_number(-2, 2), "a number from -2 to 2"),
    "frequency_penalty": Setting("frequency_penalty", _is_number(-2, 2), "a number from -2 to 2"),
    "logit_bias": Setting("logit_bias", _is_logit_bias, "an object of whole numbers from -100 to 100"),
    "parallel_tool_calls": Setting(
        "parallel_tool_calls", lambda value: isinstance(value, bool), "true or false"
    ),
    "reasoning_effort": Setting("openai_reasoning_effort", _is_text, "a string"),
    "service_tier": Setting("openai_service_tier", _is_text, "a string"),
    "user": Setting("openai_user", _is_text, "a string"),
}
RESPONSES_SETTINGS: Mapping[str, Setting] = {
    **{
        name: CHAT_SETTINGS[name]
        for name in ("temperature", "top_p", "parallel_tool_calls", "service_tier", "user")
    },
    "max_output_tokens": CHAT_SETTINGS["max_tokens"],
}
