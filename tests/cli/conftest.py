"""An agent in a file, as users have it, and the command line without the cost of a process."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from pais_lite.cli import main

SERVER = """
import asyncio
import time
from pydantic_ai import Agent

agent = Agent(name="greeter")

@agent.tool_plain
async def rest(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"

@agent.tool_plain
def block(seconds: float) -> str:
    time.sleep(seconds)
    return "blocked"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path


@dataclass
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Pais(Protocol):
    """Runs a command of the command line in this process."""

    def __call__(self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Done: ...


@pytest.fixture
def pais(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Pais:
    def run(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> Done:
        with monkeypatch.context() as changes:
            changes.chdir(cwd)
            # Where an agent's file is looked for is not for the next test.
            changes.setattr(sys, "path", [*sys.path])
            for name, value in (env or {}).items():
                changes.setenv(name, value)
            capfd.readouterr()
            try:
                code = main(arguments)
            except SystemExit as exc:
                # Wrong options: argparse has said so.
                code = int(exc.code or 0)
            return Done(code, *capfd.readouterr())

    return run
