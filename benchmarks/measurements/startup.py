"""Time from exec to the first answer of a health probe, beside importing Pydantic AI in the same environment."""

import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.field import plots
from benchmarks.field.figures import Figure
from benchmarks.field.processes import NotStarted
from benchmarks.field.servers import Member, Suite, surroundings

__all__ = ["IMPORT", "IMPORT_MODEL", "WITH_MOCK", "measure"]

IMPORT = "import pydantic_ai"
# What everybody imports who speaks to an OpenAI-compatible endpoint.
IMPORT_MODEL = "import pydantic_ai.models.openai"
WITH_MOCK = "pais-hypercorn, mock"
_MOCK = {"DEBUG_MOCK_RESPONSES": '["Hello!"]'}


def measure(suite: Suite, output: Path) -> list[Figure]:
    """Start all servers in turns, and draw what comes of it."""
    references = (IMPORT, IMPORT_MODEL)
    seconds = Figure("startup.seconds", "Start: from exec to the first answer of a health probe", "s")
    cpu = Figure("startup.cpu", "CPU of a start", "s")
    seconds.references = cpu.references = references
    # In the first round files are read from disk that are in memory later: it does not count.
    for round_number in range(-1, suite.rounds):
        for name, start in _starts(suite).items():
            suite.progress.say(f"start, round {round_number + 1} of {suite.rounds}: {name}")
            try:
                took, used = start()
            except NotStarted as exc:
                suite.field.leave_out(name, str(exc))
                continue
            if round_number >= 0:
                seconds.add(name, took)
                cpu.add(name, used)
    plots.bars(output / "startup", seconds.title, seconds.unit, {"": seconds.samples})
    return [seconds, cpu]


def _starts(suite: Suite) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return all that is started, in order; each returns its seconds and its CPU seconds."""

    def server(member: Member, **settings: str) -> Callable[[], tuple[float, float]]:
        def start() -> tuple[float, float]:
            with member.running(suite.model_url, settings) as process:
                return process.seconds, process.cpu_seconds()

        return start

    starts: dict[str, Callable[[], tuple[float, float]]] = {}
    ours = suite.field.ours
    if ours is not None:
        starts[IMPORT] = lambda: _run(ours, IMPORT)
        starts[IMPORT_MODEL] = lambda: _run(ours, IMPORT_MODEL)
    for member in suite.field.members:
        starts[member.name] = server(member)
        if member.name == "pais-hypercorn":
            starts[WITH_MOCK] = server(member, **_MOCK)
    return starts


def _run(member: Member, code: str) -> tuple[float, float]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [str(member.environment.python), "-c", code]
    subprocess.run(command, check=True, env=surroundings(""), cwd=member.environment.python.parent)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
