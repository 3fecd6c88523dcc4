"""Server-sent events, byte by byte (WHATWG HTML, section 9.2), as the clients of the OpenAI API read them.

The payload of each event is one `data:` line: no `id:` or `retry:`, which some of those clients trip over, and no
payload over several lines, which others do not join. Where a protocol names its events, `event:` comes before.
"""

__all__ = ["DONE", "HEADERS", "KEEPALIVE", "data_event", "named_event"]

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    # nginx would otherwise hold the stream back until its buffer is full.
    "x-accel-buffering": "no",
}
# A comment. One newline only: with two, clients that dispatch on the empty line parse an event without data.
KEEPALIVE = b": keepalive\n"
DONE = b"data: [DONE]\n\n"


def data_event(payload: bytes) -> bytes:
    """Return one event with `payload`, which is JSON and so holds no newline."""
    return b"data: " + payload + b"\n\n"


def named_event(name: str, payload: bytes) -> bytes:
    """Return one event that has a name, with `payload`, which is JSON and so holds no newline."""
    return b"event: " + name.encode() + b"\ndata: " + payload + b"\n\n"
