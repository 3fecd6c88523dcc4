"""A Redis client on anyio: bytes to values without IO, connections that tasks share, and a client that reconnects.

It knows nothing of memory or agents.
"""

from pais_lite.resp.client import Client
from pais_lite.resp.commands import Argument, Command
from pais_lite.resp.errors import (
    AuthenticationFailed,
    ClientClosed,
    CommandTimedOut,
    ConnectionFailed,
    InvalidUrl,
    OutcomeUnknown,
    ProtocolError,
    RespError,
    ServerError,
    TransactionAborted,
)
from pais_lite.resp.protocol import Limits
from pais_lite.resp.url import RedisUrl, parse_url
from pais_lite.resp.values import Reply, to_dict

__all__ = [
    "Argument",
    "AuthenticationFailed",
    "Client",
    "ClientClosed",
    "Command",
    "CommandTimedOut",
    "ConnectionFailed",
    "InvalidUrl",
    "Limits",
    "OutcomeUnknown",
    "ProtocolError",
    "RedisUrl",
    "Reply",
    "RespError",
    "ServerError",
    "TransactionAborted",
    "parse_url",
    "to_dict",
]
