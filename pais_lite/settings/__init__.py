"""The environment, read once: the settings of a server, and the kinds of values that they have."""

from pais_lite.settings.kinds import ApiKey
from pais_lite.settings.settings import Settings

__all__ = ["ApiKey", "Settings"]
