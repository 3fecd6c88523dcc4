"""How a run ended, as telemetry is told."""

from pais_lite.errors import PaisError
from pais_lite.events import Failed, Finished, Usage
from pais_lite.telemetry import Outcome

__all__ = ["run_outcome"]


def run_outcome(
    ending: Finished | Failed | None,
    error: BaseException | None,
    *,
    status: int | None = None,
    client_left: bool = False,
) -> Outcome:
    """Return the outcome of a run with the last event `ending`, which has none where it could not begin.

    `error` is what went wrong for the one who asked, who need not have seen the run's end.
    """
    usage = Usage() if ending is None else ending.usage
    return Outcome(
        status=status,
        finish_reason=ending.finish_reason if isinstance(ending, Finished) else None,
        error=error,
        error_type=None if error is None else _error_type(error),
        client_left=client_left,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def _error_type(error: BaseException) -> str:
    """Return a word of few: the code of the class, for one error may carry the status of somebody else as its code."""
    code = type(error).code if isinstance(error, PaisError) else None
    return code or type(error).__qualname__
