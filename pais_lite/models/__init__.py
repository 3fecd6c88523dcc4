"""Which model answers a run, and how it is spoken to."""

from pais_lite.models.resolution import ModelSource, resolve_model

__all__ = ["ModelSource", "resolve_model"]
