"""What an installation brings along, and what a process takes: megabytes, distributions, resident memory."""

from pathlib import Path

from benchmarks.field import plots
from benchmarks.field.client import saturate
from benchmarks.field.figures import Figure
from benchmarks.field.servers import SEED, Suite

__all__ = ["measure"]


def measure(suite: Suite, output: Path) -> list[Figure]:
    """Look at what is installed, then at each server after its start and after some answers."""
    size = Figure("footprint.bytes", "Size of what is installed, without bytecode", "MB", references=(SEED,))
    compiled = Figure(
        "footprint.compiled", "Size of what is installed, with bytecode", "MB", references=(SEED,)
    )
    count = Figure("footprint.distributions", "Distributions that are installed", "", references=(SEED,))
    for member in suite.field.members:
        suite.progress.say(f"size of {member.name}")
        source, with_bytecode = member.environment.sizes()
        size.add(member.name, source / 1e6)
        compiled.add(member.name, with_bytecode / 1e6)
        count.add(member.name, len(member.environment.distributions))
    memory = [
        Figure("footprint.idle", "Resident memory after the start", "MB", references=(SEED,)),
        Figure("footprint.busy", "Resident memory after 200 streamed answers", "MB", references=(SEED,)),
    ]
    for _ in range(max(1, suite.rounds // 2)):
        with suite.running() as running:
            for name, (member, process) in list(running.servers.items()):
                suite.progress.say(f"resident memory: {name}")
                memory[0].add(name, process.resident_bytes() / 1e6)
                for _ in range(2 if suite.quick else 20):
                    if name in running.servers:
                        running.attempt(name, saturate(member.server.dialect, process.port, 10, 20))
                if name in running.servers:
                    memory[1].add(name, process.resident_bytes() / 1e6)
    plots.bars(output / "install-size", size.title, size.unit, {"": size.samples})
    groups = {"after the start": memory[0].samples, "after 200 answers": memory[1].samples}
    plots.bars(output / "resident-memory", "Resident memory", "MB", groups)
    return [size, compiled, count, *memory]
