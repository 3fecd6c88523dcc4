"""The thin production server around Pydantic AI agents."""

from pais_lite.settings import Settings

__all__ = ["Settings"]
