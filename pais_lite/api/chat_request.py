"""The body of `POST /v1/chat/completions`, read and checked: from here on no dict travels on."""

from collections.abc import Mapping
from dataclasses import dataclass

from pais_lite.agent import RunRequest
from pais_lite.agent.messages import read_conversation
from pais_lite.agent.pause import maybe_session_of, new_session_id
from pais_lite.api.chat_output import read_response_format
from pais_lite.api.chat_tools import read_tool_choice, read_tools
from pais_lite.api.delegated import Origin
from pais_lite.api.fields import CHAT_SETTINGS, optional, read_model, read_model_settings, read_session_id
from pais_lite.errors import InvalidRequest

__all__ = ["ChatRequest", "read_chat_request"]


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
    named_session = read_session_id(session_header, body.get("session_id"))
    conversation = read_conversation(body["messages"], in_session=named_session is not None)
    session_id = named_session
    if session_id is None and conversation.results:
        # Where the calls were made, there is more to find of them than the client has seen.
        session_id = maybe_session_of(conversation.results[0].call_id)
    model = read_model(body, default_model)
    stream_options = optional(body, "stream_options", dict, {})
    run = RunRequest(
        prompt=conversation.prompt or "",
        session_id=session_id or new_session_id(),
        owner=owner,
        history=None if named_session else tuple(conversation.history),
        instructions=conversation.instructions,
        model_settings=read_model_settings(body, CHAT_SETTINGS),
        delegated=conversation.delegated,
        stream=optional(body, "stream", bool, False),
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
        include_usage=optional(stream_options, "include_usage", bool, False),
    )
