"""Tool calls for models of a few hundred million parameters, which can be measured better than asked."""

from pais_lite.models.string_mode.small.decision import Decision, decide, without_calls
from pais_lite.models.string_mode.small.size import is_small

__all__ = ["Decision", "decide", "is_small", "without_calls"]
