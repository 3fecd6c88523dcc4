"""What goes wrong, as JSON-RPC says it (A2A 1.0, sections 3.3.2, 5.4 and 9.5; 0.3, section 8).

The details are the same in both versions: in 0.3 `data` may be anything.
"""

from typing import Any

from pais_lite import errors
from pais_lite.errors import PaisError
from pais_lite.http.errors import UnsupportedMediaType

__all__ = [
    "RpcError",
    "cannot_cancel",
    "content_type_not_supported",
    "error_object",
    "from_error",
    "invalid_params",
    "invalid_request",
    "method_not_found",
    "no_extended_card",
    "push_not_supported",
    "task_not_found",
    "unsupported",
    "version_not_supported",
]

_DOMAIN = "a2a-protocol.org"


class RpcError(PaisError):
    """An error of JSON-RPC or of A2A. `number` is its code there, `reason` the word of an A2A error, in capitals."""

    def __init__(
        self, number: int, message: str, *, reason: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, param=param)
        self.number = number
        self.reason = reason


def error_object(error: RpcError) -> dict[str, Any]:
    """Return the `error` of a response."""
    found: dict[str, Any] = {"code": error.number, "message": error.message}
    if error.reason is not None:
        found["data"] = [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": error.reason, "domain": _DOMAIN}
        ]
    elif error.param is not None:
        violation = {"field": error.param, "description": error.message}
        found["data"] = [
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]}
        ]
    return found


def from_error(error: PaisError) -> RpcError:
    """Return an error of another floor as one of this protocol."""
    match error:
        case RpcError():
            return error
        case UnsupportedMediaType():
            return content_type_not_supported(error.message)
        case errors.InvalidRequest(code="invalid_json"):
            return RpcError(-32700, f"Invalid JSON payload: {error.message}")
        case errors.InvalidRequest():
            return RpcError(-32602, f"Invalid parameters: {error.message}", param=error.param)
        case errors.CallerError():
            return unsupported(error.message)
        case _:
            return RpcError(-32603, f"Internal error: {error.message}")


def invalid_request(what: str) -> RpcError:
    """Return the error for what is no request of JSON-RPC."""
    return RpcError(-32600, f"Request payload validation error: {what}")


def method_not_found(method: str, version: str) -> RpcError:
    """Return the error for a method that this version does not have."""
    return RpcError(-32601, f"Method not found: A2A {version} has no {method[:100]!r} over JSON-RPC")


def invalid_params(what: str, field: str) -> RpcError:
    """Return the error for the parameter `field`, which is not `what` it has to be."""
    return RpcError(-32602, f"Invalid parameters: {field} {what}", param=field)


def task_not_found() -> RpcError:
    """Return the error for a task that is not there, or another owner's, which nobody can tell apart."""
    return RpcError(-32001, "Task not found", reason="TASK_NOT_FOUND")


def cannot_cancel(state: str) -> RpcError:
    """Return the error for a task that has ended."""
    return RpcError(-32002, f"Task cannot be canceled: it is {state} already", reason="TASK_NOT_CANCELABLE")


def push_not_supported() -> RpcError:
    """Return the error for every method about push notifications."""
    return RpcError(
        -32003,
        "Push Notification is not supported: follow the task with a stream, or ask for it again",
        reason="PUSH_NOTIFICATION_NOT_SUPPORTED",
    )


def unsupported(what: str) -> RpcError:
    """Return the error for what this agent, or this task as it is, does not do."""
    return RpcError(-32004, f"This operation is not supported: {what}", reason="UNSUPPORTED_OPERATION")


def content_type_not_supported(what: str) -> RpcError:
    """Return the error for content that the agent does not take."""
    return RpcError(-32005, f"Incompatible content types: {what}", reason="CONTENT_TYPE_NOT_SUPPORTED")


def no_extended_card() -> RpcError:
    """Return the error of 0.3 for an agent with nothing more to say of itself."""
    return RpcError(
        -32007,
        "Authenticated Extended Card is not configured",
        reason="EXTENDED_AGENT_CARD_NOT_CONFIGURED",
    )


def version_not_supported(version: str) -> RpcError:
    """Return the error for a version of the protocol that is not spoken here."""
    return RpcError(
        -32009,
        f"A2A version {version[:20]!r} is not supported; 0.3 and 1.0 are",
        reason="VERSION_NOT_SUPPORTED",
    )
