"""OpenAI-style message lists, read into Pydantic AI messages."""

import base64
import binascii
import json
import mimetypes
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

from pais_lite.agent.request import ToolResult
from pais_lite.errors import InvalidRequest

__all__ = [
    "INPUT_MODES",
    "Conversation",
    "WrongMessage",
    "maybe_media_type",
    "maybe_unfit",
    "read_conversation",
]

# Not a set: a role can be anything that JSON has, and a list has no hash.
_USER_ROLES = ("user", "task-delegation")
_ROLES = ("system", "developer", "user", "assistant", "tool", "task-delegation")
_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
# What is handed to a model as text, and so has to be some.
_TEXT_TYPE = re.compile(r"text/.+|.+[/+](json|xml)|application/(x-)?yaml|application/toml")

# The media types of what a turn may hold, beside those that are rarer.
INPUT_MODES = (
    "text/plain",
    "application/json",
    "application/pdf",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    *_AUDIO_TYPES.values(),
)


class WrongMessage(InvalidRequest):
    """The message at `place`, or the list as a whole, is not what it has to be; `what` says how."""

    code = "invalid_messages"

    def __init__(self, what: str, place: int | None = None) -> None:
        where = "messages" if place is None else f"messages[{place}]"
        super().__init__(f"{where}: {what}", param="messages")
        self.what = what
        self.place = place


@dataclass(slots=True)
class Conversation:
    """A message list, taken apart.

    `prompt` is the content of the last message, a user's turn, and `history` is all before it, without the system and
    developer messages, which are `instructions`. A list that ends with results of tools has no `prompt`: the last ones are
    `results`, and `history` ends with the turn of the model that called the tools, as far as it came along.
    """

    history: list[ModelMessage] = field(default_factory=list)
    instructions: str | None = None
    prompt: str | Sequence[UserContent] | None = None
    delegated: bool = False
    results: list[ToolResult] = field(default_factory=list)


def read_conversation(messages: object, *, in_session: bool = False) -> Conversation:
    """Read a list of messages as `POST /v1/chat/completions` takes it.

    With `in_session`, the results at its end may be all there is: the calls are in the session.

    Raises:
        InvalidRequest: it is no such list; the message says which entry is wrong, and how.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes) or not messages:
        raise _wrong("has to be a list with at least one message")
    conversation = Conversation()
    instructions: list[str] = []
    calls = _Calls()
    last = len(messages) - 1
    trailing = last + 1
    while trailing and _role(messages[trailing - 1]) == "tool":
        trailing -= 1
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise _wrong("has to be an object", place)
        role = message.get("role")
        if calls.waiting and role != "tool":
            # A model endpoint would refuse such a history, and Pydantic AI does.
            raise _wrong("the results of the tool calls before it are missing", place)
        if role in ("system", "developer"):
            instructions.append(_read_text(message.get("content"), place))
        elif role in _USER_ROLES:
            content = _read_user_content(message.get("content"), place)
            if place == last:
                conversation.prompt, conversation.delegated = content, role == "task-delegation"
            else:
                conversation.history.append(ModelRequest(parts=[UserPromptPart(content)]))
        elif role == "assistant":
            conversation.history.append(ModelResponse(parts=_read_answer(message, place, calls)))
        elif role == "tool" and place >= trailing:
            conversation.results.append(_read_result(message, place, calls, in_session=in_session))
        elif role == "tool":
            result = _read_result(message, place, calls)
            name = calls.names[result.call_id]
            returned = ToolReturnPart(name, result.content, tool_call_id=result.call_id)
            conversation.history.append(ModelRequest(parts=[returned]))
        else:
            raise _wrong(f"role has to be one of {', '.join(_ROLES)}", place)
    if calls.waiting:
        raise _wrong(f"the result of the tool call {min(calls.waiting)!r} is missing")
    if conversation.prompt is None and not conversation.results:
        raise _wrong("the last one has to be a user's turn, or the results of tool calls")
    conversation.instructions = "\n\n".join(text for text in instructions if text) or None
    return conversation


@dataclass(slots=True)
class _Calls:
    """The tool calls that were read so far: the names of all, and the ids of those whose results are still to come."""

    names: dict[str, str] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)


def _role(message: object) -> object:
    return message.get("role") if isinstance(message, Mapping) else None


def _read_user_content(content: object, place: int) -> str | list[UserContent]:
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence) and content:
        return [_read_part(part, place) for part in content]
    raise _wrong("content has to be a string or a list with at least one part", place)


def _read_part(part: object, place: int) -> UserContent:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if isinstance(part, Mapping) and isinstance(kind, str):
        value = part.get(kind)
        match kind, value:
            case "text", str():
                return value
            case "image_url", str():
                return _read_image(value, place)
            case "image_url", {"url": str() as url}:
                return _read_image(url, place)
            case "input_audio", {"data": str() as data, "format": "wav" | "mp3" as audio_format}:
                return _read_binary(data, _AUDIO_TYPES[audio_format], place)
            case "file", {"file_data": str() as data, "filename": str() as filename}:
                return _read_file(data, filename, place)
            case "file", {"file_data": str() as data, **others} if others.get("filename") is None:
                return _read_file(data, "", place)
            case (("text" | "image_url" | "input_audio" | "file"), _):
                raise _wrong(f"a part of type {kind!r} does not hold what it has to", place)
            case _:
                pass
    raise _wrong("the type of a part has to be text, image_url, input_audio or file", place)


def _read_image(url: str, place: int) -> UserContent:
    if url.startswith("data:"):
        image = _read_data_url(url, place)
        if not image.is_image:
            raise _wrong("the url of an image holds something else", place)
        return image
    # Passed on as it is: the model's service fetches it, this server never does.
    if url.startswith("https://"):
        return ImageUrl(url)
    raise _wrong("the url of an image has to begin with data: or https://", place)


def _read_file(data: str, filename: str, place: int) -> UserContent:
    if data.startswith("data:"):
        return _read_data_url(data, place)
    return _read_binary(data, maybe_media_type(filename) or "application/pdf", place)


def maybe_media_type(filename: str) -> str | None:
    """Return the media type that a name stands for, `None` for one that says nothing."""
    # From Python 3.13 on, a name that looks like a URL is taken apart as one, and may be an error.
    return mimetypes.guess_type(filename.rpartition("/")[2])[0]


def _read_data_url(url: str, place: int) -> BinaryContent:
    header, comma, data = url.removeprefix("data:").partition(",")
    media_type, _, encoding = header.rpartition(";")
    if not comma or encoding != "base64" or "/" not in media_type:
        raise _wrong("a data: URL has to look like data:image/png;base64,…", place)
    return _read_binary(data, media_type.partition(";")[0].strip().lower(), place)


def _read_binary(data: str, media_type: str, place: int) -> BinaryContent:
    """Read what is not text. Model adapters raise errors of any class on a kind they do not know, so it ends here."""
    content = BinaryContent(_decode_base64(data, place), media_type=media_type)
    if (why := maybe_unfit(content)) is not None:
        raise _wrong(why, place)
    return content


def maybe_unfit(content: BinaryContent) -> str | None:
    """Return why no model can be given a file, `None` where one can."""
    if _TEXT_TYPE.fullmatch(content.media_type):
        try:
            content.data.decode()
        except UnicodeDecodeError:
            return "a text file has to be UTF-8"
    elif not (content.is_image or content.is_document or content.media_type in _AUDIO_TYPES.values()):
        return "a file has to be an image, a document, a text, or wav or mp3 audio"
    return None


def _decode_base64(data: str, place: int) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _wrong("the data of a part has to be base64", place) from exc


def _read_answer(message: Mapping[str, Any], place: int, calls: _Calls) -> list[ModelResponsePart]:
    content = message.get("content")
    if content is None:
        content = message.get("refusal") or ""
    text = _read_text(content, place)
    parts: list[ModelResponsePart] = [TextPart(text)] if text else []
    tool_calls = message.get("tool_calls") or []
    if not isinstance(tool_calls, Sequence) or isinstance(tool_calls, str):
        raise _wrong("tool_calls has to be a list", place)
    for call in tool_calls:
        match call:
            case {
                "id": str() as call_id,
                "function": {"name": str() as name, "arguments": str() as arguments},
            }:
                if call_id in calls.waiting:
                    raise _wrong(f"two tool calls have the id {call_id!r}", place)
                calls.names[call_id] = name
                calls.waiting.add(call_id)
                calls.answered.discard(call_id)
                parts.append(ToolCallPart(name, _checked_arguments(arguments, place), tool_call_id=call_id))
            case _:
                raise _wrong("a tool call needs an id, and a function with name and arguments", place)
    return parts or [TextPart("")]


def _checked_arguments(arguments: str, place: int) -> str:
    try:
        json.loads(arguments or "{}")
    except (ValueError, RecursionError) as exc:
        raise _wrong("the arguments of a tool call have to be JSON", place) from exc
    return arguments or "{}"


def _read_result(
    message: Mapping[str, Any], place: int, calls: _Calls, *, in_session: bool = False
) -> ToolResult:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        raise _wrong("tool_call_id has to be a string", place)
    if call_id in calls.answered:
        raise _wrong(f"the tool call {call_id!r} has a result already", place)
    if call_id not in calls.waiting and (calls.waiting or not in_session):
        raise _wrong(f"no tool call before it has the id {call_id!r}", place)
    calls.waiting.discard(call_id)
    calls.answered.add(call_id)
    return ToolResult(call_id=call_id, content=_read_text(message.get("content"), place))


def _read_text(content: object, place: int) -> str:
    """Read content that can only be text: a string, or a list of text and refusal parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        texts: list[str] = []
        for part in content:
            match part:
                case {"type": "text", "text": str() as text} | {"type": "refusal", "refusal": str() as text}:
                    texts.append(text)
                case _:
                    raise _wrong("content of this role can only be text", place)
        return "".join(texts)
    raise _wrong("content has to be a string or a list of text parts", place)


def _wrong(what: str, place: int | None = None) -> WrongMessage:
    return WrongMessage(what, place)
