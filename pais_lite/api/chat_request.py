"""The body of `POST /v1/chat/completions`, read and checked: from here on no dict travels on."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pydantic_ai.settings import ModelSettings

from pais_lite.agent import RunRequest
from pais_lite.agent.messages import read_conversation
from pais_lite.agent.pause import maybe_session_of, new_session_id
from pais_lite.api.chat_output import read_response_format
from pais_lite.api.chat_tools import read_tool_choice, read_tools
from pais_lite.api.delegated import Origin
from pais_lite.errors import InvalidRequest

__all__ = ["ChatRequest", "read_chat_request"]

T = TypeVar("T")

_MAX_MODEL_LENGTH = 256
_SESSION_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a client asked for: a run, and how its answer is to be written down."""

    run: RunRequest
    model: str
    include_usage: bool


def read_chat_request(
    body: object, *, session_header: str | None, owner: str, default_model: str, origin: Origin
) -> ChatRequest:
    """Read a decoded body and the `X-Session-ID` header, which wins over `session_id` in the body.

    Raises:
        InvalidRequest: a field is missing or ill-typed; `param` names it.
    """
    if not isinstance(body, Mapping):
        raise InvalidRequest("the request's body has to be a JSON object", code="invalid_json")
    if body.get("n") not in (None, 1) or isinstance(body.get("n"), bool):
        raise InvalidRequest("n has to be 1: there is one answer to a request", param="n")
    if body.get("messages") is None:
        raise InvalidRequest("messages is missing", param="messages", code="missing_messages")
    named_session = _read_session_id(session_header, body.get("session_id"))
    conversation = read_conversation(body["messages"], in_session=named_session is not None)
    session_id = named_session
    if session_id is None and conversation.results:
        # Where the calls were made, there is more to find of them than the client has seen.
        session_id = maybe_session_of(conversation.results[0].call_id)
    model = _optional(body, "model", str, "") or default_model
    if len(model) > _MAX_MODEL_LENGTH:
        # It is echoed in every chunk of a stream.
        raise InvalidRequest(f"model has to be at most {_MAX_MODEL_LENGTH} characters long", param="model")
    stream_options = _optional(body, "stream_options", dict, {})
    run = RunRequest(
        prompt=conversation.prompt or "",
        session_id=session_id or new_session_id(),
        owner=owner,
        history=None if named_session else tuple(conversation.history),
        instructions=conversation.instructions,
        model_settings=_read_model_settings(body),
        delegated=conversation.delegated,
        stream=_optional(body, "stream", bool, False),
        chain=origin.chain,
        timeout=origin.timeout,
        client_tools=(tools := read_tools(body)),
        tool_choice=read_tool_choice(body, tools),
        tool_results=tuple(conversation.results),
        output=read_response_format(body),
    )
    return ChatRequest(
        run=run,
        model=model,
        include_usage=_optional(stream_options, "include_usage", bool, False),
    )


def _read_session_id(header: str | None, field: object) -> str | None:
    for session_id in (header, field):
        if session_id is None:
            continue
        if not isinstance(session_id, str) or not _SESSION_ID.fullmatch(session_id):
            raise InvalidRequest(
                "a session id is 1 to 128 letters, digits, and characters of ._:@-",
                param="session_id",
                code="invalid_session_id",
            )
        return session_id
    return None


def _optional(body: Mapping[str, Any], name: str, kind: type[T], default: T) -> T:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise InvalidRequest(f"{name} has to be {_KIND_NAMES[kind]}", param=name)
    return value


def _read_model_settings(body: Mapping[str, Any]) -> ModelSettings:
    settings: dict[str, Any] = {}
    for name, (setting, accepts, expected) in _PARAMETERS.items():
        value = body.get(name)
        if value is None:
            continue
        if not accepts(value):
            raise InvalidRequest(f"{name} has to be {expected}", param=name)
        settings[setting] = [value] if setting == "stop_sequences" and isinstance(value, str) else value
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
# Name in the request: name in the model settings, what it may be, and how that is said. Later entries win.
_PARAMETERS: dict[str, tuple[str, Callable[[object], bool], str]] = {
    "temperature": ("temperature", _is_number(0, 100), "a number of at least 0"),
    "top_p": ("top_p", _is_number(0, 1), "a number from 0 to 1"),
    "max_tokens": ("max_tokens", _is_integer(1, _INT64 - 1), "a whole number of at least 1"),
    "max_completion_tokens": ("max_tokens", _is_integer(1, _INT64 - 1), "a whole number of at least 1"),
    "stop": ("stop_sequences", _is_stop, "a string or a list of 1 to 16 strings"),
    "seed": ("seed", _is_integer(-_INT64, _INT64 - 1), "a whole number"),
    "presence_penalty": ("presence_penalty", _is_number(-2, 2), "a number from -2 to 2"),
    "frequency_penalty": ("frequency_penalty", _is_number(-2, 2), "a number from -2 to 2"),
    "logit_bias": ("logit_bias", _is_logit_bias, "an object of whole numbers from -100 to 100"),
    "parallel_tool_calls": ("parallel_tool_calls", lambda value: isinstance(value, bool), "true or false"),
    "reasoning_effort": ("openai_reasoning_effort", _is_text, "a string"),
    "service_tier": ("openai_service_tier", _is_text, "a string"),
    "user": ("openai_user", _is_text, "a string"),
}
