"""How each kind of server is asked, and where in its answer the text is."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

__all__ = ["ADK", "AGNO", "CHAT", "VERCEL", "Dialect"]

_JSON = "application/json"


@dataclass(frozen=True)
class Dialect:
    """A wire format: a request for a prompt, streamed or whole, and the text of an event or of a whole answer."""

    name: str
    stream_path: str
    # None where the server can only stream.
    whole_path: str | None
    media_type: str
    body: Callable[[str, bool], bytes]
    # Empty for events that carry no new text.
    event_text: Callable[[Mapping[str, Any]], str]
    whole_text: Callable[[Any], str]

    def request(self, prompt: str, *, stream: bool) -> bytes:
        """Return the bytes of an HTTP request on a connection that stays open."""
        path = self.stream_path if stream else self.whole_path
        body = self.body(prompt, stream)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {self.media_type}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _chat_body(prompt: str, stream: bool) -> bytes:
    message = {"role": "user", "content": prompt}
    return json.dumps({"model": "benchmark", "stream": stream, "messages": [message]}).encode()


def _chat_event(event: Mapping[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in event["choices"])


CHAT = Dialect(
    "OpenAI chat completions",
    "/v1/chat/completions",
    "/v1/chat/completions",
    _JSON,
    _chat_body,
    _chat_event,
    lambda answer: str(answer["choices"][0]["message"]["content"]),
)


def _vercel_body(prompt: str, stream: bool) -> bytes:
    message = {"id": uuid4().hex, "role": "user", "parts": [{"type": "text", "text": prompt}]}
    return json.dumps({"trigger": "submit-message", "id": uuid4().hex, "messages": [message]}).encode()


VERCEL = Dialect(
    "Vercel AI data stream",
    "/api/chat",
    None,
    _JSON,
    _vercel_body,
    lambda event: str(event["delta"]) if event["type"] == "text-delta" else "",
    str,
)


def _adk_body(prompt: str, stream: bool) -> bytes:
    message = {"role": "user", "parts": [{"text": prompt}]}
    names = {"app_name": "benchmark", "user_id": "benchmark", "session_id": uuid4().hex}
    return json.dumps({**names, "new_message": message, "streaming": stream}).encode()


def _adk_text(event: Mapping[str, Any]) -> str:
    return "".join(part.get("text", "") for part in event["content"]["parts"])


ADK = Dialect(
    "ADK events",
    "/run_sse",
    "/run",
    _JSON,
    _adk_body,
    # The last event repeats the whole.
    lambda event: _adk_text(event) if event.get("partial") else "",
    lambda events: _adk_text(events[-1]),
)

AGNO = Dialect(
    "AgentOS events",
    "/agents/benchmark/runs",
    "/agents/benchmark/runs",
    "application/x-www-form-urlencoded",
    lambda prompt, stream: urlencode({"message": prompt, "stream": str(stream).lower()}).encode(),
    lambda event: str(event.get("content", "")) if event["event"] == "RunContent" else "",
    lambda answer: str(answer["content"]),
)
