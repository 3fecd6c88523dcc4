"""`pais build`: a container image, with whichever tool for that is there."""

import argparse
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pais_lite.errors import ConfigurationError

__all__ = ["build"]

# Docker without its daemon builds nothing, so it is asked first.
_TOOLS: dict[str, Sequence[str]] = {
    "docker": ("docker", "version", "--format", "{{.Server.Version}}"),
    "podman": ("podman", "--version"),
    "buildah": ("buildah", "--version"),
}
_PROBE_TIMEOUT = 20.0
_FILES = ("Containerfile", "Dockerfile")
# As image references have them, with an optional registry and port in front.
_NAME = re.compile(r"(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def build(arguments: argparse.Namespace) -> int:
    """Build the image, with the tool's own output as progress; return the exit code.

    Raises:
        ConfigurationError: there is nothing to build, nothing to build it with, or the build failed.
    """
    folder = Path(arguments.directory)
    name = arguments.name or re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "agent"
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"--name: {name!r} is not the name of an image, such as team/agent")
    if not _TAG.fullmatch(arguments.tag):
        raise ConfigurationError(f"--tag: {arguments.tag!r} is not a tag, such as 1.0")
    files = [folder / file for file in _FILES if (folder / file).is_file()]
    if not files:
        raise ConfigurationError(f"{folder} has no Containerfile; `pais init` writes one")
    tool, image = _tool(), f"{name}:{arguments.tag}"
    command = [tool, "build", "-t", image, "-f", str(files[0]), *arguments.options, str(folder)]
    print(f"building {image} with {tool}", flush=True)  # noqa: T201
    try:
        code = subprocess.run(command, check=False).returncode  # noqa: S603 - the user's own words, no shell
    except OSError as exc:
        raise ConfigurationError(f"{tool} cannot be started: {exc.strerror}") from exc
    if code != 0:
        raise ConfigurationError(f"{tool} failed with exit code {code}; it says why above")
    runner = "podman" if tool == "buildah" else tool
    print(f"built {image}. Run it:\n  {runner} run --read-only -p 8000:8000 --env-file .env {image}")  # noqa: T201
    return 0


def _tool() -> str:
    """Return the first tool that is there and works."""
    broken: list[str] = []
    for tool, probe in _TOOLS.items():
        if shutil.which(tool) is None:
            continue
        try:
            done = subprocess.run(probe, capture_output=True, timeout=_PROBE_TIMEOUT, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            broken.append(tool)
            continue
        if done.returncode == 0:
            return tool
        broken.append(tool)
    if broken:
        raise ConfigurationError(
            f"{' and '.join(broken)} is there but does not answer; is its daemon running?"
        )
    raise ConfigurationError("building an image needs docker, podman or buildah, and none is installed")
