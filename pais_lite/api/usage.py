"""The tokens of a run, in the words of each protocol."""

from collections.abc import Callable
from typing import Any

from pais_lite.events import Tokens, Usage

__all__ = ["usage_object"]


def usage_object(usage: Usage, tokens_object: Callable[[Tokens], dict[str, Any]]) -> dict[str, Any]:
    """Return the tokens of a run; `agents`, a field of ours, where others have worked for it."""
    if not usage.agents:
        return tokens_object(usage)
    agents = [{"agent": name, **tokens_object(tokens)} for name, tokens in usage.agents]
    return {**tokens_object(usage), "agents": agents}
