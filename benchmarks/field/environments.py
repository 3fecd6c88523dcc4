"""A virtual environment for each server, made once and kept: with `uv` where it is there, else with `pip`."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Environment", "Environments", "NotInstalled", "find_python"]

ROOT = Path(__file__).resolve().parents[2]
_INSTALL_SECONDS = 900.0
_THIS = "pais-lite"
_WHAT_IS_THERE = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
)


class NotInstalled(Exception):
    """Packages could not be installed, or there is no Python for them; the message says why."""


@dataclass(frozen=True)
class Environment:
    """Where a server's packages are."""

    python: Path
    # Names in lower case, and versions.
    distributions: dict[str, str]

    def script(self, name: str) -> str:
        """Return the path of a command that a package installed."""
        return str(self.python.parent / name)

    def sizes(self) -> tuple[int, int]:
        """Return how many bytes are installed, without bytecode and with it."""
        packages = next(self.python.parents[1].glob("lib/python*/site-packages"))
        source = compiled = 0
        for folder, _, names in os.walk(packages):
            for name in names:
                size = os.lstat(f"{folder}/{name}").st_size
                compiled += size
                source += 0 if name.endswith(".pyc") else size
        return source, compiled


def find_python(version: str) -> Path | None:
    """Return an interpreter of a version such as `3.12`, or None: this one, on the path, uv's, or pyenv's."""
    for candidate in _candidates(version):
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        try:
            # Asked, not believed: a shim of pyenv is on the path for versions that are not chosen.
            said = subprocess.run([candidate, "-c", code], capture_output=True, text=True, timeout=30)
        except OSError:
            continue
        if said.stdout.strip() == version:
            return Path(candidate)
    return None


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    if found := shutil.which(f"python{version}"):
        yield found
    if uv := shutil.which("uv"):
        said = subprocess.run(
            [uv, "python", "find", "--no-python-downloads", version], capture_output=True, text=True
        )
        if said.returncode == 0:
            yield said.stdout.strip()
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(pyenv.glob(f"versions/{version}*/bin/python"), reverse=True))


class Environments:
    """Makes environments in a folder, and finds them again there."""

    def __init__(self, folder: Path, python: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._python = python
        self._say = say

    def get(self, name: str, packages: Sequence[str]) -> Environment:
        """Return an environment with these packages, in which `.` is this checkout; raises `NotInstalled`."""
        folder = self._folder / name
        stamp = folder / "made.json"
        wanted = {"packages": list(packages), "python": str(self._python), "checkout": ""}
        if any(package.startswith(".") for package in packages):
            wanted["checkout"] = _digest(ROOT)
        made = json.loads(stamp.read_text()) if stamp.exists() else None
        if made != wanted:
            began = time.monotonic()
            self._say(f"installing {' '.join(packages)} for {name} ...")
            if made is not None and {**made, "checkout": wanted["checkout"]} == wanted:
                self._install(folder, [f"{_THIS} @ {ROOT.as_uri()}"], only="--no-deps")
            else:
                self._make(folder)
                here = [
                    str(ROOT) + package[1:] if package.startswith(".") else package for package in packages
                ]
                self._install(folder, here)
            stamp.write_text(json.dumps(wanted))
            self._say(f"installed {name} in {time.monotonic() - began:.0f} s")
        python = folder / "bin" / "python"
        said = subprocess.run([str(python), "-c", _WHAT_IS_THERE], capture_output=True, text=True, check=True)
        return Environment(python, json.loads(said.stdout))

    def _make(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([str(self._python), "-m", "venv", "--without-pip", str(folder)])

    def _install(self, folder: Path, packages: Sequence[str], *, only: str = "") -> None:
        python = str(folder / "bin" / "python")
        options = [only] if only else []
        if uv := shutil.which("uv"):
            # Compiled as pip does, or the first start would do it.
            command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
            options += ["--reinstall-package", _THIS]
        else:
            command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
            options += ["--force-reinstall"] if only else []
        _run([*command, *options, *packages])


def _run(command: Sequence[str]) -> None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
    except subprocess.TimeoutExpired as exc:
        raise NotInstalled(f"{' '.join(command)} was not done after {_INSTALL_SECONDS:.0f} s") from exc
    if ended.returncode:
        raise NotInstalled(f"{' '.join(command)}: {(ended.stderr or ended.stdout).strip()[-1500:]}")


def _digest(root: Path) -> str:
    """Return what changes with the package's files."""
    digest = hashlib.sha256((root / "pyproject.toml").read_bytes())
    for path in sorted((root / "pais_lite").rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()
