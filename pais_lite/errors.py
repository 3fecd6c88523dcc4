"""What can go wrong, by whose turn it is to do something about it.

One root, three branches. The message of every error here is written for the caller of the service: it names what was
wrong and carries no secret, no address and no trace. Anything that is not a `PaisError` is a bug, and callers are told
no more than that. Which HTTP status each one becomes is decided in `pais_lite.http.errors`, and nowhere else.
"""

from typing import Self

__all__ = [
    "CallerError",
    "ConfigurationError",
    "Conflict",
    "DelegationFailed",
    "DelegationRefused",
    "DependencyError",
    "InvalidCredentials",
    "InvalidRequest",
    "LogTruncated",
    "MaxStepsExceeded",
    "MemoryUnavailable",
    "MockResponsesExhausted",
    "ModelMisbehaved",
    "ModelUnavailable",
    "NotFound",
    "PaisError",
    "PeerUnavailable",
    "RunCancelled",
    "RunFailed",
    "RunLost",
    "RunTimedOut",
    "ServerDraining",
    "ServiceError",
    "TooManyRuns",
]


class PaisError(Exception):
    """The root of every error that this package raises on purpose.

    `code` is a word for programs, `param` the request's field that was wrong, where there is one.
    """

    code: str | None = None
    param: str | None = None

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if param is not None:
            self.param = param

    def forget_origin(self) -> None:
        """Let go of where it was raised and of what led to it: the frames on that way hold all that was worked on."""
        self.__traceback__ = self.__cause__ = self.__context__ = None


# ---------------------------------------------------------------------------------------------- their mistake


class CallerError(PaisError):
    """The request is wrong; the same request will fail again."""


class InvalidRequest(CallerError):
    """A field, a header or the body is not what it has to be."""


class InvalidCredentials(CallerError):
    """No key came along, or none that this server knows."""

    code = "invalid_api_key"


class NotFound(CallerError):
    """There is no such route, model or session."""

    code = "not_found"


class Conflict(CallerError):
    """The request contradicts what is already under way."""

    code = "conflict"


class LogTruncated(CallerError):
    """The events that were asked for are no longer kept; the run's end still is."""

    code = "run_log_truncated"


class DelegationRefused(CallerError):
    """The chain of agents that a request has come through already holds this one, or is too long."""

    code = "delegation_refused"


# ---------------------------------------------------------------------------------------------- our mistake


class ServiceError(PaisError):
    """The service, its settings or the served agent is at fault."""

    code = "internal_error"


class ConfigurationError(ServiceError):
    """A setting, or the agent that is to be served, cannot work; the message names it and what was expected."""

    code = "configuration_error"


class RunFailed(ServiceError):
    """The agent's own code, such as a tool, raised; the details are in the log."""

    code = "run_failed"


class RunCancelled(ServiceError):
    """Somebody who may do so ended the run before it had its answer."""

    code = "cancelled"


class RunLost(ServiceError):
    """The replica that worked on the run is gone, and nobody will finish it."""

    code = "run_lost"


class MaxStepsExceeded(ServiceError):
    """The agent asked the model `AGENTIC_LOOP_MAX_STEPS` times and had no final answer."""

    code = "max_steps_exceeded"


class MockResponsesExhausted(ServiceError):
    """The run asked the mock model more often than `DEBUG_MOCK_RESPONSES` has entries."""

    code = "mock_responses_exhausted"


class TooManyRuns(ServiceError):
    """`MAX_CONCURRENT_RUNS` runs are under way; `retry_after` is a number of seconds."""

    code = "too_many_runs"
    retry_after = 1


class ServerDraining(ServiceError):
    """The server is about to stop and takes no new runs; `retry_after` is a number of seconds."""

    code = "server_shutdown"
    retry_after = 2


# ---------------------------------------------------------------------------------------------- the network


class DependencyError(PaisError):
    """Something that this service depends on failed; trying later may help."""


class ModelUnavailable(DependencyError):
    """The model endpoint refused, failed or could not be reached; `code` is its status where it sent one."""

    code = "model_unavailable"


class ModelMisbehaved(DependencyError):
    """The model answered, but nothing that the agent could use, within its retries."""

    code = "model_behavior"


class DelegationFailed(DependencyError):
    """Another agent was asked and gave no answer; `reason` is its own word for why, where it gave one."""

    code = "delegation_failed"
    reason: str | None = None

    @classmethod
    def because(cls, what: str, reason: str | None) -> Self:
        """Return the error with the other agent's word for what happened, which its message then ends with."""
        error = cls(f"{what} ({reason})" if reason else what)
        error.reason = reason
        return error


class PeerUnavailable(DelegationFailed):
    """The other agent could not be reached, or broke off; trying later may help."""

    code = "peer_unavailable"


class RunTimedOut(DependencyError):
    """The run was still going after `RUN_TIMEOUT` seconds."""

    code = "run_timeout"


class MemoryUnavailable(DependencyError):
    """The memory backend could not be reached; `retry_after` is a number of seconds."""

    code = "memory_unavailable"
    retry_after = 2
