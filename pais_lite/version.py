"""The version of this distribution, read by the build and by `pais version`."""

__all__ = ["__version__"]

__version__ = "0.1.0"
