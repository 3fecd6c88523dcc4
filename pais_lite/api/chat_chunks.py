"""The answers of `POST /v1/chat/completions`, byte by byte: one object, or the chunks of a stream.

What is in a chunk, and what is not, follows what the clients of the OpenAI API were seen to read unharmed: an object
`delta` and an integer `index` in every choice, no `error` beside `choices`, and `choices: []` only for those who asked
for usage.
"""

from typing import Any

from pais_lite.api.progress import progress_object
from pais_lite.api.usage import failure_with_usage, usage_object
from pais_lite.encoding import dump_json
from pais_lite.events import (
    Failed,
    Finished,
    Progress,
    RunEvent,
    TextDelta,
    ThinkingDelta,
    Tokens,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from pais_lite.http import Response, error_body
from pais_lite.http.sse import DONE, data_event
from pais_lite.runs import RunRecord

__all__ = ["ChatStream", "ChunkWriter", "completion_object", "failure_response"]


def completion_object(finished: Finished, record: RunRecord, *, model: str) -> dict[str, Any]:
    """Return the whole answer of a request that did not ask for a stream."""
    message: dict[str, Any] = {"role": "assistant", "content": finished.output, "refusal": None}
    if finished.tool_calls:
        message["content"] = finished.output or None
        message["tool_calls"] = [
            {
                "id": call.call_id,
                "type": "function",
                "function": {"name": call.tool, "arguments": call.arguments},
            }
            for call in finished.tool_calls
        ]
    return {
        "id": _completion_id(record),
        "object": "chat.completion",
        "created": int(record.created_at.timestamp()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": finished.finish_reason,
            }
        ],
        "usage": usage_object(finished.usage, _tokens_object),
    }


def failure_response(failed: Failed) -> Response:
    """Return the answer of a run that failed before anything was told; what it used is beside the error."""
    return failure_with_usage(failed.error, failed.usage, _tokens_object)


class ChunkWriter:
    """Writes the chunks of one stream. What is the same in all of them is encoded once."""

    def __init__(self, record: RunRecord, *, model: str) -> None:
        head = {
            "id": _completion_id(record),
            "object": "chat.completion.chunk",
            "created": int(record.created_at.timestamp()),
            "model": model,
        }
        self._head = dump_json(head)[:-1]
        self._delta_head = self._head + b',"choices":[{"index":0,"delta":{'
        self._text_head = self._delta_head + b'"content":'

    def role(self) -> bytes:
        """Return the first chunk, which says who speaks."""
        return self._delta(b'"role":"assistant","content":""')

    def text(self, event: TextDelta) -> bytes:
        """Return a chunk with a piece of the answer."""
        return data_event(self._text_head + dump_json(event.text) + b'},"finish_reason":null}]}')

    def thinking(self, event: ThinkingDelta) -> bytes:
        """Return a chunk with a piece of the model's thoughts, under both names that clients look for."""
        thought = dump_json(event.text)
        return self._delta(b'"reasoning_content":' + thought + b',"reasoning":' + thought)

    def call_started(self, event: ToolCallStarted) -> bytes:
        """Return the chunk that opens a call for the client, as yet without arguments."""
        function = {"name": event.tool, "arguments": ""}
        return self._call(
            {"index": event.index, "id": event.call_id, "type": "function", "function": function}
        )

    def call_delta(self, event: ToolCallDelta) -> bytes:
        """Return a chunk with a piece of a call's arguments."""
        return self._call({"index": event.index, "function": {"arguments": event.arguments}})

    def progress(self, event: Progress) -> bytes:
        """Return a chunk without text, and with what a tool is doing in a field that clients leave alone."""
        progress = dump_json(progress_object(event))
        return data_event(self._delta_head + b'},"finish_reason":null}],"progress":' + progress + b"}")

    def finish(self, event: Finished) -> bytes:
        """Return the one chunk that says why the answer ended."""
        return data_event(self._delta_head + b'},"finish_reason":"' + event.finish_reason.encode() + b'"}]}')

    def usage(self, usage: Usage) -> bytes:
        """Return the chunk with the tokens of the run, for those who asked for it."""
        return data_event(
            self._head + b',"choices":[],"usage":' + dump_json(usage_object(usage, _tokens_object)) + b"}"
        )

    def _call(self, piece: dict[str, Any]) -> bytes:
        return self._delta(b'"tool_calls":' + dump_json([piece]))

    def _delta(self, fields: bytes) -> bytes:
        return data_event(self._delta_head + fields + b'},"finish_reason":null}]}')


class ChatStream:
    """The frames of one stream, with `usage` for those who asked for it."""

    def __init__(self, writer: ChunkWriter, *, include_usage: bool) -> None:
        self._writer = writer
        self._include_usage = include_usage

    def head(self) -> bytes:
        """Return the chunk that says who speaks."""
        return self._writer.role()

    def frames(self, event: RunEvent) -> bytes:
        """Return the chunks of one event; the last ones end with `[DONE]`."""
        writer = self._writer
        match event:
            case TextDelta():
                return writer.text(event)
            case ThinkingDelta():
                return writer.thinking(event)
            case ToolCallStarted():
                return writer.call_started(event)
            case ToolCallDelta():
                return writer.call_delta(event)
            case Progress():
                return writer.progress(event)
            case Finished(usage=usage):
                return writer.finish(event) + (writer.usage(usage) if self._include_usage else b"") + DONE
            case Failed(error=error, usage=usage):
                # Beside the error no client looks for it, and some look for the error only where nothing is beside it.
                price = writer.usage(usage) if self._include_usage and usage != Usage() else b""
                return price + data_event(dump_json(error_body(error))) + DONE


def _completion_id(record: RunRecord) -> str:
    """Return the id of the answer, which every reader of the run is told alike."""
    return f"chatcmpl-{record.run_id.removeprefix('resp_')}"


def _tokens_object(usage: Tokens) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
