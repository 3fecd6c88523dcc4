"""The tokens of a run, in the words of each protocol."""

from collections.abc import Callable
from typing import Any

from pais_lite.errors import PaisError
from pais_lite.events import Tokens, Usage
from pais_lite.http import Response, error_response

__all__ = ["failure_with_usage", "usage_object"]


def usage_object(usage: Usage, tokens_object: Callable[[Tokens], dict[str, Any]]) -> dict[str, Any]:
    """Return the tokens of a run; `agents`, a field of ours, where others have worked for it."""
    if not usage.agents:
        return tokens_object(usage)
    agents = [{"agent": name, **tokens_object(tokens)} for name, tokens in usage.agents]
    return {**tokens_object(usage), "agents": agents}


def failure_with_usage(
    error: PaisError, usage: Usage, tokens_object: Callable[[Tokens], dict[str, Any]]
) -> Response:
    """Return the answer of a run that failed before anything was told; what it used is beside the error."""
    fields = {} if usage == Usage() else {"usage": usage_object(usage, tokens_object)}
    return error_response(error, run_begun=True, **fields)
