"""What an ASGI server hands to an application (ASGI 3.0, "HTTP & WebSocket ASGI Message Format")."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

__all__ = ["ClientDisconnected", "HeaderList", "Message", "Receive", "Scope", "Send"]

Scope = Mapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
HeaderList = list[tuple[bytes, bytes]]


class ClientDisconnected(Exception):
    """Nobody is left to answer to. Not an error: the request just ends."""
