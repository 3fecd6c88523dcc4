"""The model that every server is given: an OpenAI-compatible endpoint that says what the prompt asks for.

    python -m benchmarks.field.endpoint PORT

A prompt holds `tokens=N rate=R`: so many tokens, so many a second, where 0 is as fast as they are taken. Each token is a
chat-completion chunk in an HTTP chunk of its own. Paced tokens are the time at which they were written, on a clock that
all processes of the machine share; the others are their numbers, so that a client knows the right text. What is not paced is
rendered once and written whole: the endpoint must never be what is waited for.

`GET /most-at-once` says how many answers were under way at the same time since it was last asked.
"""

import asyncio
import contextlib
import functools
import json
import re
import sys
import time
from typing import Any

__all__ = ["Endpoint", "whole_text"]

_WISH = re.compile(rb"tokens=(\d+) rate=(\d+)")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": *true')
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_BACKLOG = 2048


def whole_text(tokens: int) -> str:
    """Return what a model that is not paced says."""
    return "".join(f"{number} " for number in range(tokens))


class Endpoint:
    """Answers requests on connections, and counts how many answers are under way."""

    def __init__(self) -> None:
        self._now = 0
        self._most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it ends."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length.group(1)) if length else 0)
                if head.startswith(b"GET"):
                    writer.write(_json({"most": self._most}))
                    self._most = self._now
                else:
                    await self._answer(body, writer)
                await writer.drain()
        writer.close()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        # The last one counts: a server may send what was said before.
        wishes = _WISH.findall(body)
        tokens, rate = map(int, wishes[-1]) if wishes else (1, 0)
        self._now += 1
        self._most = max(self._most, self._now)
        try:
            if not _STREAM.search(body):
                # Who asks for the whole waits until its last token would have been written.
                began = time.monotonic()
                await asyncio.sleep(tokens / rate if rate else 0)
                times = [f"{began + number / rate:.6f} " for number in range(tokens)] if rate else []
                writer.write(_completion(tokens, "".join(times) or whole_text(tokens)))
            elif not rate:
                writer.write(_stream(tokens))
                await writer.drain()
            else:
                writer.write(_HEAD + _event({"role": "assistant", "content": ""}))
                began = time.monotonic()
                for number in range(tokens):
                    await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                    writer.write(_event({"content": f"{time.monotonic():.6f} "}))
                    await writer.drain()
                writer.write(_end(tokens))
        finally:
            self._now -= 1


def _json(document: Any) -> bytes:
    data = json.dumps(document).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}


def _completion(tokens: int, text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    return _json(
        {
            "id": "chatcmpl-0123456789abcdef",
            "object": "chat.completion",
            "created": 1,
            "model": "scripted",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": _usage(tokens),
        }
    )


@functools.cache
def _stream(tokens: int) -> bytes:
    begin = _HEAD + _event({"role": "assistant", "content": ""})
    return begin + b"".join(_event({"content": f"{number} "}) for number in range(tokens)) + _end(tokens)


@functools.cache
def _end(tokens: int) -> bytes:
    return (
        _event({}, finish_reason="stop")
        + _event(None, usage=_usage(tokens))
        + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    )


def _event(delta: dict[str, Any] | None, *, finish_reason: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    document = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "system_fingerprint": "fp_0123456789",
        "choices": [] if delta is None else [choice],
        **fields,
    }
    data = b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _main(port: int) -> None:
    server = await asyncio.start_server(Endpoint().serve, "127.0.0.1", port, backlog=_BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
