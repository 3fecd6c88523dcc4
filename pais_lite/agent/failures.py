"""Pydantic AI's exceptions in our own words, fit for callers. What they say about insides goes to the log."""

import logging
import traceback

from pydantic_ai import exceptions

from pais_lite import errors
from pais_lite.agent.client_tools import NAME_CLASH, name_clash

__all__ = ["translate"]

_log = logging.getLogger("pais_lite.agent")


def translate(error: Exception, *, max_steps: int, tells_output: bool = False) -> errors.PaisError:
    """Return what `error` means to the caller. Order matters: Pydantic AI derives the specific from the general.

    With `tells_output`, the output has a form that the caller gave, who may know what is wrong with it. The frames that
    `error` came through are emptied.
    """
    translated = _translate(error, max_steps, tells_output=tells_output)
    # They hold the run, and the run holds the error: neither would go before garbage is collected.
    traceback.clear_frames(error.__traceback__)
    return translated


def _translate(error: Exception, max_steps: int, *, tells_output: bool) -> errors.PaisError:
    match error:
        case errors.PaisError():
            return error
        case exceptions.UsageLimitExceeded():
            return errors.MaxStepsExceeded(f"the agent had no answer after {max_steps} model calls")
        case exceptions.ModelHTTPError(status_code=status):
            _log.warning("the model endpoint answered with status %d", status)
            return errors.ModelUnavailable(
                f"the model endpoint answered with status {status}", code=str(status)
            )
        case exceptions.ModelTimeoutError():
            _log.warning("the model endpoint did not answer in time")
            return errors.ModelUnavailable("the model endpoint did not answer in time", code="model_timeout")
        case exceptions.ModelConnectionError():
            _log.warning("the connection to the model endpoint failed: %s", type(error.__cause__).__name__)
            return errors.ModelUnavailable("the connection to the model endpoint failed")
        case exceptions.ModelAPIError() | exceptions.FallbackExceptionGroup():
            _log.warning("the model endpoint failed: %s", type(error).__name__)
            return errors.ModelUnavailable("the model endpoint failed")
        case exceptions.UnexpectedModelBehavior():
            _log.warning("the model misbehaved: %s", error.message)
            if tells_output and (wrong := _maybe_wrong_output(error)) is not None:
                return errors.ModelMisbehaved(f"the model's answer does not fit response_format: {wrong}")
            return errors.ModelMisbehaved("the model's answers could not be used")
        case exceptions.UserError() if NAME_CLASH in error.message:
            return name_clash()
        case _:
            _log.error("the agent's run failed", exc_info=error)
            return errors.RunFailed("the agent failed while working on this request")


def _maybe_wrong_output(error: exceptions.UnexpectedModelBehavior) -> str | None:
    """Return what was wrong with the last answer, in words that hold nothing of the answer itself."""
    cause = error.__cause__
    retry = cause.tool_retry.content if isinstance(cause, exceptions.ToolRetryError) else None
    if isinstance(retry, str) or not isinstance(retry, list):
        return "there is no JSON in it" if retry else None
    return "; ".join(str(detail["msg"]) for detail in retry)
