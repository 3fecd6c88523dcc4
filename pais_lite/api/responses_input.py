"""The `input` of `POST /v1/responses`: a string, or items, read as the conversation that they are.

What was said is the same in both protocols of the OpenAI API, so each item becomes the chat message that says it, and
one reader knows what a conversation may look like.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelRequest, UserPromptPart

from pais_lite.agent import Approval
from pais_lite.agent.messages import Conversation, WrongMessage, read_conversation
from pais_lite.errors import InvalidRequest

__all__ = ["ResponsesInput", "read_input"]

_INSTRUCTING = ("system", "developer")
_ROLES = (*_INSTRUCTING, "user", "assistant", "task-delegation")
# What this server puts out beside messages and calls of the client's tools: a client that sends an output back as input,
# as many do, sends these too. The conversation is told without them, as memory tells it.
_PASSED_OVER = ("reasoning", "mcp_call", "mcp_approval_request")
# How long the data of an image, a file or a sound may be that is kept with a run, for `input_items` to show.
_MAX_STORED_DATA = 4096
_KINDS = ("message", "function_call", "function_call_output", "mcp_approval_response", *_PASSED_OVER)


@dataclass(slots=True)
class ResponsesInput:
    """What `input` says, and the items of it as they are stored."""

    conversation: Conversation
    approvals: tuple[Approval, ...]
    items: list[dict[str, Any]]


def read_input(value: object, *, in_session: bool) -> ResponsesInput:
    """Read `input`. With `in_session`, answers to calls may be all there is of it.

    Raises:
        InvalidRequest: it is neither a string nor a list of items that are known here; the message says which one.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise _wrong("has to be a string or a list with at least one item")
    reader = _Reader()
    for place, item in enumerate(value):
        reader.read(item, place)
    return reader.result(in_session=in_session)


@dataclass(slots=True)
class _Reader:
    """The messages read so far, and for each the place of the item that it began with."""

    items: list[dict[str, Any]] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    instructing: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    said: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    def read(self, item: object, place: int) -> None:
        if not isinstance(item, Mapping):
            raise _wrong("has to be an object", place)
        kind = item.get("type")
        if kind is None and "role" in item:
            kind = "message"
        if kind == "item_reference":
            raise _wrong(
                "items cannot be referred to; send them, or go on with previous_response_id or conversation",
                place,
            )
        if kind not in _KINDS:
            raise _wrong(f"the type of an item has to be one of {', '.join(_KINDS)}", place)
        self.items.append(dict(item))
        match kind:
            case "message":
                self._read_message(item, place)
            case "function_call":
                self._read_call(item, place)
            case "function_call_output":
                self._read_output(item, place)
            case "mcp_approval_response":
                self._read_approval(item, place)
            case _:
                pass

    def result(self, *, in_session: bool) -> ResponsesInput:
        return ResponsesInput(
            self._conversation(in_session=in_session), tuple(self.approvals), _stored(self.items)
        )

    def _conversation(self, *, in_session: bool) -> Conversation:
        # Instructions count for the whole run, wherever they stand.
        placed = [*self.instructing, *self.said]
        if self.approvals and not self.said:
            return Conversation(instructions=_joined(self.instructing))
        if not self.said:
            raise _wrong("has to hold a turn of the user, or answers to calls")
        try:
            found = read_conversation([message for _, message in placed], in_session=in_session)
        except WrongMessage as exc:
            raise _wrong(exc.what, None if exc.place is None else placed[exc.place][0]) from exc
        if self.approvals and found.prompt is not None:
            # The turn that asked for what is approved now.
            found.history.append(ModelRequest(parts=[UserPromptPart(found.prompt)]))
            found.prompt = None
        return found

    def _read_message(self, item: Mapping[str, Any], place: int) -> None:
        role = item.get("role")
        if role not in _ROLES:
            raise _wrong(f"role has to be one of {', '.join(_ROLES)}", place)
        content = item.get("content")
        if isinstance(content, list):
            content = [_read_part(part, place, at) for at, part in enumerate(content)]
            if role != "assistant" and any(part["type"] == "refusal" for part in content):
                raise _wrong("a refusal can only be the assistant's", place)
        elif not isinstance(content, str):
            raise _wrong("content has to be a string or a list of parts", place)
        message = {"role": role, "content": content}
        if role in _INSTRUCTING:
            self.instructing.append((place, message))
        elif role == "assistant":
            self._say_more(place, content=content)
        elif self.approvals:
            raise _wrong(
                "a turn cannot come with the approval of a call; it goes on with the one before", place
            )
        else:
            self.said.append((place, message))

    def _read_call(self, item: Mapping[str, Any], place: int) -> None:
        match item:
            case {"call_id": str() as call_id, "name": str() as name, "arguments": str() as arguments}:
                call = {"id": call_id, "function": {"name": name, "arguments": arguments}}
                self._say_more(place, call=call)
            case _:
                raise _wrong("a function_call needs call_id, name and arguments, which are strings", place)

    def _read_output(self, item: Mapping[str, Any], place: int) -> None:
        content: str | list[dict[str, Any]]
        match item:
            case {"call_id": str() as call_id, "output": str() as output}:
                content = output
            case {"call_id": str() as call_id, "output": list() as parts}:
                content = [_read_part(part, place, at) for at, part in enumerate(parts)]
            case _:
                raise _wrong("a function_call_output needs a call_id, and output as text", place)
        self.said.append((place, {"role": "tool", "tool_call_id": call_id, "content": content}))

    def _read_approval(self, item: Mapping[str, Any], place: int) -> None:
        match item:
            case {"approval_request_id": str() as call_id, "approve": bool() as approved, **others}:
                reason = others.get("reason")
            case _:
                raise _wrong(
                    "an mcp_approval_response needs approval_request_id, and approve as true or false", place
                )
        if not isinstance(reason, str | None):
            raise _wrong("reason has to be a string", place)
        self.approvals.append(Approval(call_id=call_id, approved=approved, reason=reason))

    def _say_more(self, place: int, *, content: Any = None, call: dict[str, Any] | None = None) -> None:
        """Add to what the assistant said in one go: text and calls are items of their own, in any order."""
        if not self.said or self.said[-1][1]["role"] != "assistant":
            self.said.append((place, {"role": "assistant", "content": [], "tool_calls": []}))
        message = self.said[-1][1]
        if content is not None:
            message["content"] += [{"type": "text", "text": content}] if isinstance(content, str) else content
        if call is not None:
            message["tool_calls"].append(call)


def _read_part(part: object, place: int, at: int) -> dict[str, Any]:
    """Return a content part as the chat protocol has it."""
    match part:
        case {"type": "input_text" | "output_text" | "text" | "summary_text", "text": str() as text}:
            return {"type": "text", "text": text}
        case {"type": "refusal", "refusal": str() as text}:
            return {"type": "refusal", "refusal": text}
        case {"type": "input_image", "image_url": str() as url}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "input_file", "file_data": str(), **others} if isinstance(
            others.get("filename"), str | None
        ):
            return {"type": "file", "file": part}
        case {"type": "input_audio", "input_audio": audio}:
            return {"type": "input_audio", "input_audio": audio}
        case {"type": "input_image" | "input_file", "file_id": str()}:
            raise _wrong("no files are kept here; send the data instead of a file_id", place, at)
        case {"type": "input_file", "file_url": str()}:
            raise _wrong("files are not fetched here; send the data instead of a file_url", place, at)
        case {"type": "input_image" | "input_file" | "input_audio" | "input_text" | "output_text"}:
            raise _wrong("the part does not hold what one of its type has to", place, at)
        case _:
            raise _wrong(
                "the type of a part has to be input_text, input_image, input_file, input_audio, output_text or "
                "refusal",
                place,
                at,
            )


def _joined(instructing: list[tuple[int, dict[str, Any]]]) -> str | None:
    """Return instructions without a conversation, which is what a reader of one would make of them."""
    if not instructing:
        return None
    filler = {"role": "user", "content": ""}
    try:
        return read_conversation([*[message for _, message in instructing], filler]).instructions
    except WrongMessage as exc:
        raise _wrong(exc.what, None if exc.place is None else instructing[exc.place][0]) from exc


def _stored(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items in their full form, as `input_items` lists them; those without an id are given one there."""
    return [_stored_message(item) if item.get("type", "message") == "message" else item for item in items]


def _stored_message(item: Mapping[str, Any]) -> dict[str, Any]:
    content, role = item["content"], item["role"]
    if isinstance(content, str):
        part: dict[str, Any] = {"type": "input_text", "text": content}
        if role == "assistant":
            part = {"type": "output_text", "text": content, "annotations": []}
        content = [part]
    content = [_without_data(part) for part in content]
    return {"type": "message", "status": "completed", **item, "content": content}


def _without_data(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part as it is stored: whoever looks at a run again should not have to carry all its pictures."""
    match part:
        case {"type": "input_image", "image_url": str() as url} if url.startswith("data:"):
            return {**part, "image_url": _shortened(url)}
        case {"type": "input_file", "file_data": str() as data}:
            return {**part, "file_data": _shortened(data)}
        case {"type": "input_audio", "input_audio": {"data": str() as data, **others}}:
            return {**part, "input_audio": {**others, "data": _shortened(data)}}
        case _:
            return part


def _shortened(data: str) -> str:
    if len(data) <= _MAX_STORED_DATA:
        return data
    head, comma, _ = data.partition(",")
    return head + comma if comma else ""


def _wrong(what: str, place: int | None = None, at: int | None = None) -> InvalidRequest:
    where = "input" if place is None else f"input[{place}]"
    where += "" if at is None else f".content[{at}]"
    return InvalidRequest(f"{where}: {what}", param="input", code="invalid_input")
