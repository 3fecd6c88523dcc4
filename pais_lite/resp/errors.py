"""What can go wrong between a caller and a Redis server, told by what the caller may do next.

The one question after a failure is whether the command may have run. `ConnectionFailed` and `ServerError` say that it
did not, `OutcomeUnknown` that nobody knows. No message holds an address, an argument or a password; what an operator
needs besides is in attributes and in the chained cause.
"""

from pais_lite.errors import ConfigurationError, DependencyError

__all__ = [
    "AuthenticationFailed",
    "ClientClosed",
    "CommandTimedOut",
    "ConnectionFailed",
    "InvalidUrl",
    "OutcomeUnknown",
    "ProtocolError",
    "RespError",
    "ServerError",
    "TransactionAborted",
]


class RespError(DependencyError):
    """The root of what this client raises once it is configured."""

    code = "redis_error"


class InvalidUrl(ConfigurationError):
    """The URL of the server cannot be used; `part` names the component or option at fault."""

    code = "invalid_redis_url"

    def __init__(self, part: str, expected: str) -> None:
        super().__init__(f"the Redis URL's {part} {expected}")
        self.part = part


class ProtocolError(RespError):
    """The peer sent what is not RESP, or more of it than we accept; the connection is of no further use.

    A command that was under way may have run.
    """

    code = "redis_protocol_error"


class ConnectionFailed(RespError):
    """No connection could be had, or it broke before the command left: the command did not run.

    `address` is where the client tried to connect, if it got as far.
    """

    code = "redis_connection_failed"

    def __init__(self, message: str, *, address: str | None = None) -> None:
        super().__init__(message)
        self.address = address


class ClientClosed(RespError):
    """The client was closed before or during the command."""

    code = "redis_client_closed"


class OutcomeUnknown(RespError):
    """The connection was lost after the command had left: it may already have run."""

    code = "redis_outcome_unknown"


class CommandTimedOut(OutcomeUnknown):
    """No answer came within the command timeout: the command may already have run, or may yet run."""

    code = "redis_command_timeout"


# The server's words for "not run, but it might be in a moment, or elsewhere". ASK is among them, since the server that it
# names takes neither transactions nor several keys while a slot moves.
_REFUSALS = frozenset(
    (
        *("ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED"),
        *("NOREPLICAS", "READONLY", "TRYAGAIN", "UNBLOCKED"),
    )
)


class ServerError(RespError):
    """The server's own error reply; the command had no effect, or the one that the server's manual describes.

    The codec hands it out as a value, `Client` raises it. `word` is the reply's first word when that is in capitals
    (`WRONGTYPE`, `MOVED`, `READONLY`, ...), else `ERR`. `replies` holds, for an error in a pipeline or a transaction,
    every reply in the order of the commands, errors included.
    """

    code = "redis_server_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        first = message.partition(" ")[0]
        self.word = first if first and first.isupper() else "ERR"
        self.replies: list[object] | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether the server ran nothing, and may run the very same in a moment: during a failover, for instance."""
        return self.word in _REFUSALS


class AuthenticationFailed(ServerError):
    """The server does not accept the URL's user and password, or wants some where the URL has none."""

    code = "redis_authentication_failed"


class TransactionAborted(ServerError):
    """The server discarded the whole transaction, so none of it ran; `replies` holds the answers while queueing."""

    code = "redis_transaction_aborted"
