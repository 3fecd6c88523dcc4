"""`pais init`: a folder with an agent, its tests, and all that it takes to run it somewhere else."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from pais_lite.errors import ConfigurationError
from pais_lite.version import __version__

__all__ = ["init"]

_TEMPLATES = Path(__file__).parent / "templates"
# Packaging tools would take files of these names for their own.
_NAMES = {"env.example": ".env.example", "gitignore": ".gitignore", "containerignore": ".containerignore"}


def init(arguments: argparse.Namespace) -> int:
    """Write the files and say what to do next; return the exit code.

    Raises:
        ConfigurationError: the folder has some of the files already, or cannot be written to.
    """
    folder = Path(arguments.directory)
    name = _project_name(folder.resolve().name)
    files = {folder / _NAMES.get(path.name, path.relative_to(_TEMPLATES)): path for path in _templates()}
    there = sorted(str(path.relative_to(folder)) for path in files if path.exists())
    if there:
        raise ConfigurationError(f"{folder} has {', '.join(there)} already; nothing was written")
    try:
        for path, template in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            text = template.read_text(encoding="utf-8")
            text = text.replace("PROJECT_NAME", name).replace("PAIS_LITE_VERSION", __version__)
            path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigurationError(f"{exc.filename or folder} cannot be written: {exc.strerror}") from exc
    print(f"{name} is in {folder}. Next:\n  cd {folder}\n  pais run   # README.md says what else")  # noqa: T201
    return 0


def _templates() -> Iterator[Path]:
    # Beside them lies what importing or compiling them has left.
    return (
        path for path in sorted(_TEMPLATES.rglob("*")) if path.is_file() and "__pycache__" not in path.parts
    )


def _project_name(folder: str) -> str:
    """Return a name that fits agents and container images alike."""
    return re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:60] or "agent"
