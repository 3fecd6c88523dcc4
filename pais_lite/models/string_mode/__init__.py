"""Tools for models that cannot call functions: definitions go into the prompt, calls come back out of the text."""

from pais_lite.models.string_mode.model import StringModeModel

__all__ = ["StringModeModel"]
