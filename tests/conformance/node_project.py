"""The clients from npm: their project, and commands run in it."""

import subprocess
from pathlib import Path

PROJECT = Path(__file__).parent / "node"


def run(command: list[str], folder: Path, timeout: float) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout
