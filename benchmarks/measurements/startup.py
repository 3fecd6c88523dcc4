"""Time from exec to the first answer of a health probe, beside importing Pydantic AI in the same environment."""

import subprocess
import time
from pathlib import Path

from benchmarks.field import plots
from benchmarks.field.figures import Figure
from benchmarks.field.processes import NotStarted
from benchmarks.field.servers import OURS, Member, Suite, surroundings

__all__ = ["IMPORT", "measure"]

IMPORT = "import pydantic_ai"


def measure(suite: Suite, output: Path) -> list[Figure]:
    """Start all servers in turns, and draw what comes of it."""
    title = "Start: from exec to the first answer of a health probe"
    figure = Figure("startup.seconds", title, "s", references=(IMPORT,))
    # What is read from disk the first time is not what is measured.
    for round_number in range(-1, suite.rounds):
        imported = False
        for member in list(suite.field.members):
            suite.progress.say(f"start, round {round_number + 1} of {suite.rounds}: {member.name}")
            try:
                if member.name in OURS and not imported:
                    imported = True
                    seconds = _import_seconds(member)
                    if round_number >= 0:
                        figure.add(IMPORT, seconds)
                with member.running(suite.model_url) as process:
                    if round_number >= 0:
                        figure.add(member.name, process.seconds)
            except NotStarted as exc:
                suite.field.leave_out(member.name, str(exc))
    plots.bars(output / "startup", figure.title, figure.unit, {"": figure.samples})
    return [figure]


def _import_seconds(member: Member) -> float:
    began = time.perf_counter()
    command = [str(member.environment.python), "-c", IMPORT]
    subprocess.run(command, check=True, env=surroundings(""), cwd=member.environment.python.parent)
    return time.perf_counter() - began
