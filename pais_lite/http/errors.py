"""The one place where exceptions become status codes.

Errors use the envelope of the OpenAI API, `{"error": {"message", "type", "param", "code"}}`, which every client of it
reads.
"""

from typing import Any

from pais_lite import errors
from pais_lite.http.reply import Response, json_response
from pais_lite.http.types import ClientDisconnected

__all__ = [
    "BodyTooLarge",
    "ClientDisconnected",
    "HeadersTooLarge",
    "MethodNotAllowed",
    "RequestTimeout",
    "UnsupportedMediaType",
    "error_body",
    "error_response",
]


class MethodNotAllowed(errors.CallerError):
    """The route exists, for other methods than this one."""

    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        super().__init__(f"this route takes {allow}")
        self.allow = allow


class BodyTooLarge(errors.CallerError):
    """The request's body is longer than the server takes."""

    code = "request_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request's body is over the limit of {limit} bytes")


class HeadersTooLarge(errors.CallerError):
    """The request's path and headers are longer than the server takes (RFC 6585, section 5)."""

    code = "headers_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request's path and headers are over the limit of {limit} bytes")


class UnsupportedMediaType(errors.CallerError):
    """The request's body says that it is something other than JSON."""

    code = "unsupported_media_type"


class RequestTimeout(errors.CallerError):
    """The client stopped in the middle of its request."""

    code = "request_timeout"


# The most specific class that an error belongs to decides; `type` is the word that the OpenAI API uses for the family.
_STATUSES: dict[type[errors.PaisError], tuple[int, str]] = {
    errors.PaisError: (500, "server_error"),
    errors.CallerError: (400, "invalid_request_error"),
    errors.InvalidCredentials: (401, "authentication_error"),
    errors.NotFound: (404, "not_found_error"),
    MethodNotAllowed: (405, "invalid_request_error"),
    RequestTimeout: (408, "invalid_request_error"),
    errors.Conflict: (409, "conflict_error"),
    errors.LogTruncated: (410, "invalid_request_error"),
    BodyTooLarge: (413, "invalid_request_error"),
    UnsupportedMediaType: (415, "invalid_request_error"),
    errors.TooManyRuns: (429, "rate_limit_error"),
    HeadersTooLarge: (431, "invalid_request_error"),
    errors.DependencyError: (502, "upstream_error"),
    errors.MemoryUnavailable: (503, "service_unavailable"),
    errors.ServerDraining: (503, "service_unavailable"),
    errors.RunTimedOut: (504, "timeout_error"),
}


def _status_and_type(error: errors.PaisError) -> tuple[int, str]:
    return next(_STATUSES[cls] for cls in type(error).__mro__ if cls in _STATUSES)


def error_body(error: Exception) -> dict[str, Any]:
    """Return the envelope for an error. One that is not a `PaisError` is a bug, of which callers are told nothing."""
    if isinstance(error, errors.PaisError):
        message, param, code = error.message, error.param, error.code
        kind = _status_and_type(error)[1]
    else:
        message, param, code, kind = (
            "the server failed to handle this request",
            None,
            "internal_error",
            "server_error",
        )
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_response(error: Exception, *, run_begun: bool = False, **fields: object) -> Response:
    """Return the answer to a request that failed with `error`.

    `run_begun` marks failures after an agent has started to work, which clients should not repeat on their own: the
    OpenAI SDKs re-send 408, 409, 429 and 5xx twice unless `x-should-retry: false` says otherwise. `fields` stand beside
    the error.
    """
    status = _status_and_type(error)[0] if isinstance(error, errors.PaisError) else 500
    headers: dict[str, str] = {}
    if isinstance(error, errors.InvalidCredentials):
        headers["www-authenticate"] = "Bearer"  # RFC 9110, section 11.6.1
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = error.allow
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    if run_begun:
        headers["x-should-retry"] = "false"
    return json_response({**error_body(error), **fields}, status=status, headers=headers)
