"""Clients from npm: installs them, puts questions to them, and reads what they got to see."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.conformance.repertoire import REFUSE, said_by
from tests.support.endpoint import ModelCall
from tests.support.processes import Process

__all__ = ["PROJECT", "Ask", "Report", "installed", "report_of"]

PROJECT = Path(__file__).parent / "node"
INSTALL_TIMEOUT = 300
REPORT_TIMEOUT = 120


@dataclass(frozen=True)
class Report:
    """What a client got to see, by scenario, and how often the model refused meanwhile."""

    answers: dict[str, Any]
    refusals: int

    def __getitem__(self, scenario: str) -> Any:
        return self.answers[scenario]


class Ask(Protocol):
    """Has a client put all its questions, or only some, to a server."""

    def __call__(self, client: str, server: Process, *questions: str) -> Report: ...


def installed(folder: Path) -> Path:
    """Copy the Node project to `folder`, and install its dependencies exactly as they are locked."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.fail("these tests need Node.js 20 or later with npm; leave them out with: -m 'not node'")
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("node_modules"))
    _run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        folder,
        INSTALL_TIMEOUT,
    )
    return folder


def report_of(project: Path, client: str, url: str, *questions: str, calls: list[ModelCall]) -> Report:
    """Have a client put its questions to the server at `url`; `calls` are those of the model behind it."""
    calls.clear()
    output = _run(["node", "report.mjs", client, f"{url}/v1", *questions], project, REPORT_TIMEOUT)
    refusals = [call for call in calls if said_by(call.body, "user") == [REFUSE]]
    return Report(json.loads(output), len(refusals))


def _run(command: list[str], folder: Path, timeout: float) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout
