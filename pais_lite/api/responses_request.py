"""The body of `POST /v1/responses`, read and checked: from here on no dict travels on, but what is echoed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic_ai.settings import ModelSettings

from pais_lite.agent import ClientTool, OutputFormat, RunRequest, ToolChoice
from pais_lite.agent.pause import maybe_session_of, new_session_id
from pais_lite.api.chat_output import read_output_format
from pais_lite.api.chat_tools import read_tool_choice, read_tools
from pais_lite.api.delegated import Origin
from pais_lite.api.fields import (
    RESPONSES_SETTINGS,
    optional,
    read_model,
    read_model_settings,
    read_session_id,
)
from pais_lite.api.responses_input import ResponsesInput, read_input
from pais_lite.errors import InvalidRequest
from pais_lite.runs import RunRecord

__all__ = ["ResponsesRequest", "previous_response_id", "read_responses_request"]

# What the OpenAI API takes of `metadata`.
_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512
# What the response object repeats of its request.
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "reasoning",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "user",
)


@dataclass(frozen=True, slots=True)
class ResponsesRequest:
    """What a client asked for: a run, how its answer is to be given, and what is kept of the request with the run."""

    run: RunRequest
    model: str
    stream: bool
    background: bool
    store: bool
    details: Mapping[str, Any]


def previous_response_id(body: object) -> str | None:
    """Return `previous_response_id`: whoever reads the rest has to know that response.

    Raises:
        InvalidRequest: the body is no object, or this is no string, or there is a conversation as well.
    """
    if not isinstance(body, Mapping):
        raise InvalidRequest("the request's body has to be a JSON object", code="invalid_json")
    previous = optional(body, "previous_response_id", str, "") or None
    if previous is not None and body.get("conversation") is not None:
        raise InvalidRequest(
            "previous_response_id and conversation cannot be given together: each names the conversation",
            param="previous_response_id",
            code="mutually_exclusive_parameters",
        )
    return previous


def read_responses_request(
    body: Mapping[str, Any],
    *,
    previous: RunRecord | None,
    session_header: str | None,
    owner: str,
    default_model: str,
    origin: Origin,
) -> ResponsesRequest:
    """Read a decoded body, the `X-Session-ID` header, and the run that `previous_response_id` names.

    Raises:
        InvalidRequest: a field is missing or ill-typed; `param` names it.
    """
    if body.get("input") is None:
        raise InvalidRequest("input is missing", param="input", code="missing_input")
    if body.get("prompt") is not None:
        raise InvalidRequest("no prompt templates are kept here; send instructions and input", param="prompt")
    stream = optional(body, "stream", bool, False)
    background = optional(body, "background", bool, False)
    store = optional(body, "store", bool, True)
    if background and not store:
        raise InvalidRequest("a response in the background has to be stored", param="store")
    session = _read_session(body, session_header, previous)
    given = read_input(body["input"], in_session=session is not None)
    model = read_model(body, default_model)
    _check_echoed(body)
    tools, tool_choice = _read_tools(body)
    context = _Context.of(given, session, store=store)
    run = RunRequest(
        prompt=given.conversation.prompt or "",
        session_id=context.session_id,
        owner=owner,
        history=context.history,
        preceding=context.preceding,
        instructions=_read_instructions(body, given),
        model_settings=_read_settings(body),
        delegated=given.conversation.delegated,
        # Whoever looks at a response in the background while it is made wants to see it grow.
        stream=stream or background,
        chain=origin.chain,
        timeout=origin.timeout,
        client_tools=tools,
        tool_choice=tool_choice,
        tool_results=tuple(given.conversation.results),
        approvals=given.approvals,
        output=_read_output(body),
    )
    details = {
        "model": model,
        "background": background,
        "store": store,
        "asked": {name: body[name] for name in _ECHOED if body.get(name) is not None},
        "input": given.items if store else [],
        "approved": [approval.call_id for approval in given.approvals if approval.approved],
    }
    return ResponsesRequest(run, model, stream, background, store, details)


@dataclass(frozen=True, slots=True)
class _Context:
    """The session of a run, and where what was said before it is to be found: see `RunRequest`."""

    session_id: str
    history: tuple[Any, ...] | None
    preceding: tuple[Any, ...]

    @classmethod
    def of(cls, given: ResponsesInput, session: str | None, *, store: bool) -> "_Context":
        said = tuple(given.conversation.history)
        answered = [answer.call_id for answer in given.conversation.results]
        answered += [approval.call_id for approval in given.approvals]
        if answered:
            # Where the calls were made, there is more to find of them than the client has seen.
            found = session or maybe_session_of(answered[0]) or new_session_id()
            return cls(found, None if session else said, ())
        if session is not None:
            return cls(session, None, said)
        if store:
            # Whoever goes on with this response finds all of the conversation in its session.
            return cls(new_session_id(), (), said)
        return cls(new_session_id(), said, ())


def _read_session(body: Mapping[str, Any], header: str | None, previous: RunRecord | None) -> str | None:
    """Return the session that the request names, in one way or in several that agree."""
    named = read_session_id(header, param="X-Session-ID")
    conversation = body.get("conversation")
    if isinstance(conversation, Mapping):
        conversation = conversation.get("id")
        if conversation is None:
            raise InvalidRequest(
                "conversation has to be an id, or an object with an id", param="conversation"
            )
    other = read_session_id(conversation, param="conversation")
    if previous is not None:
        other = previous.session_id
    if named is not None and other is not None and named != other:
        raise InvalidRequest(
            "X-Session-ID names another session than the request's conversation", param="X-Session-ID"
        )
    return named or other


def _read_instructions(body: Mapping[str, Any], given: ResponsesInput) -> str | None:
    texts = [optional(body, "instructions", str, ""), given.conversation.instructions]
    return "\n\n".join(text for text in texts if text) or None


def _read_settings(body: Mapping[str, Any]) -> ModelSettings:
    settings = read_model_settings(body, RESPONSES_SETTINGS)
    effort = optional(body, "reasoning", dict, {}).get("effort")
    if effort is not None:
        if not isinstance(effort, str):
            raise InvalidRequest("reasoning.effort has to be a string", param="reasoning.effort")
        settings = cast("ModelSettings", {**settings, "openai_reasoning_effort": effort})
    return settings


def _check_echoed(body: Mapping[str, Any]) -> None:
    """Check what does nothing here but to come back with the response, or to say what is the case anyway."""
    metadata = optional(body, "metadata", dict, {})
    if len(metadata) > _MAX_PAIRS or not all(
        len(key) <= _MAX_KEY and isinstance(value, str) and len(value) <= _MAX_VALUE
        for key, value in metadata.items()
    ):
        raise InvalidRequest(
            f"metadata has to be an object of at most {_MAX_PAIRS} strings of at most {_MAX_VALUE} characters, "
            f"with keys of at most {_MAX_KEY}",
            param="metadata",
        )
    if body.get("truncation") not in (None, "auto", "disabled"):
        raise InvalidRequest("truncation has to be auto or disabled", param="truncation")


def _read_output(body: Mapping[str, Any]) -> OutputFormat | None:
    """Read `text.format`, which the chat protocol has in another shape."""
    wanted = optional(body, "text", dict, {}).get("format")
    match wanted:
        case {"type": "json_schema", **schema}:
            wanted = {"type": "json_schema", "json_schema": schema}
        case _:
            pass
    return read_output_format(wanted, param="text.format")


def _read_tools(body: Mapping[str, Any]) -> tuple[tuple[ClientTool, ...], ToolChoice]:
    """Read `tools` and `tool_choice`, which the chat protocol has in another shape."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    as_in_chat: dict[str, Any] = {"tools": tools, "tool_choice": choice}
    if isinstance(tools, list):
        as_in_chat["tools"] = [_tool_as_in_chat(tool) for tool in tools]
    match choice:
        case {"type": "function", "name": name}:
            as_in_chat["tool_choice"] = {"type": "function", "function": {"name": name}}
        case {"type": "allowed_tools", **allowed}:
            as_in_chat["tool_choice"] = {"type": "allowed_tools", "allowed_tools": allowed}
        case _:
            pass
    read = read_tools(as_in_chat)
    return read, read_tool_choice(as_in_chat, read)


def _tool_as_in_chat(tool: object) -> object:
    match tool:
        case {"type": "function", **function}:
            return {"type": "function", "function": function}
        case _:
            return tool
