"""Measures this package against the field, in one command.

    python -m benchmarks [streaming|requests|memory|startup|footprint|all] [--quick] [--rounds N] [--output DIR]

Every server runs in a process and a virtual environment of its own and is asked by this process over loopback; they take
turns, A B A B, in several rounds. Tables go to standard output, and with JSON and plots to the output folder.
"""

import argparse
import json
import os
import platform
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.field import targets
from benchmarks.field.environments import ROOT, Environment, Environments, NotInstalled, find_python
from benchmarks.field.figures import Figure, disagreements, markdown
from benchmarks.field.processes import started
from benchmarks.field.progress import Progress
from benchmarks.field.servers import SERVERS, Field, Member, Suite, gather, this_environment
from benchmarks.measurements import crowd, footprint, memory, requests, startup, streaming
from tests.support.ports import free_port

__all__ = ["main"]

MEASUREMENTS = ("streaming", "requests", "memory", "startup", "footprint")
# The oldest that all of the field run on.
PYTHON = "3.12"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and return how the command ends."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [server.name for server in SERVERS]
    parser.add_argument("measurement", nargs="?", choices=(*MEASUREMENTS, "all"), default="all")
    parser.add_argument("--quick", action="store_true", help="two short rounds, to see that all works")
    parser.add_argument("--rounds", type=int, help="how often everyone has a turn (5, or 2 when quick)")
    parser.add_argument(
        "--servers", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "benchmarks" / "results")
    parser.add_argument(
        "--against", type=Path, help="results.json of another run, to see whether the ratios agree"
    )
    parser.add_argument(
        "--no-install", action="store_true", help="use this interpreter's packages, install nothing"
    )
    parser.add_argument("--venvs", type=Path, default=ROOT / "build" / "benchmarks" / "venvs")
    options = parser.parse_args(arguments)
    if sys.platform != "linux":
        parser.error("the figures of processes are read from /proc, so this needs Linux")
    # A thousand streams are as many sockets, in every process: they inherit it.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    progress = Progress()
    environments = None
    if not options.no_install:
        python = find_python(PYTHON)
        if python is None:
            parser.error(f"there is no Python {PYTHON} here, which all of the field run on; try --no-install")
        environments = Environments(options.venvs.resolve(), python, progress.say)
    options.output.mkdir(parents=True, exist_ok=True)
    wanted = MEASUREMENTS if options.measurement == "all" else (options.measurement,)
    field = gather(options.servers if set(wanted) != {"memory"} else (), environments)
    figures: list[Figure] = []
    clients: dict[str, Environment] = {}
    report = ""
    rounds = options.rounds or (2 if options.quick else 5)
    with _endpoint() as model_url:
        suite = Suite(field, model_url, rounds, options.quick, progress)
        for name in wanted:
            if name == "streaming":
                figures += streaming.measure(suite, options.output)
                figures += crowd.measure(suite)
            elif name == "requests":
                figures += requests.measure(suite, options.output)
            elif name == "memory":
                clients = _clients(field, environments)
                figures += memory.measure(suite, options.output, clients)
            elif name == "startup":
                figures += startup.measure(suite, options.output)
            else:
                figures += footprint.measure(suite, options.output)
            # After each: a run takes long, and whoever ends it early keeps what there is.
            report = _report(field, figures, rounds)
            (options.output / "report.md").write_text(report)
            results = json.dumps(_results(field, clients, figures, rounds), indent=1)
            (options.output / "results.json").write_text(results)
    progress.end()
    print(report)
    if options.against is not None:
        _compare(figures, options.against)
    return 0


@contextmanager
def _endpoint() -> Iterator[str]:
    """Run the scripted model, and yield the address of its API."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.field.endpoint", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with started(command, port, "/most-at-once", environment):
        yield f"http://127.0.0.1:{port}/v1"


def _clients(field: Field, environments: Environments | None) -> dict[str, Environment]:
    """Return the environments of the Redis clients that can be had."""
    found: dict[str, Environment] = {}
    for name, packages in memory.CLIENTS.items():
        try:
            found[name] = environments.get(name, packages) if environments else this_environment(packages)
        except NotInstalled as exc:
            field.left_out[name] = str(exc)
    return found


def _report(field: Field, figures: Sequence[Figure], rounds: int) -> str:
    """Return everything that was measured, for people."""
    parts = []
    if field.members:
        lines = [[member.name, member.server.what, _version(member)] for member in field.members]
        parts.append(markdown(["server", "what it does", "version"], lines))
    if field.left_out:
        parts.append(
            "Left out:\n" + "\n".join(f"- {name}: {reason}" for name, reason in field.left_out.items())
        )
    parts.append(
        f"The median of {rounds} rounds, and in brackets the least and the most; ratios are formed in each round. "
        "Some figures have more rounds, some fewer, where that costs less or more."
    )
    parts += [figure.table() for figure in figures if figure.samples]
    if reached := targets.table(figures):
        parts.append("Targets:\n\n" + reached)
    return "\n\n".join(parts) + "\n"


def _version(member: Member) -> str:
    """Return the versions of the packages that a server was asked for by name."""
    named = [package.partition("[")[0] for package in member.server.packages]
    return ", ".join(
        f"{name} {member.environment.distributions.get(name, '?')}"
        for name in ("pais-lite" if name == "." else name for name in named)
    )


def _results(
    field: Field, clients: Mapping[str, Environment], figures: Sequence[Figure], rounds: int
) -> dict[str, Any]:
    """Return everything that was measured, for programs."""
    environments = {member.name: member.environment for member in field.members} | dict(clients)
    return {
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "kind": platform.machine(),
            "system": platform.release(),
        },
        "rounds": rounds,
        "versions": {name: environment.distributions for name, environment in environments.items()},
        "left_out": field.left_out,
        "figures": {figure.key: figure.as_json() for figure in figures},
    }


def _compare(figures: Sequence[Figure], path: Path) -> None:
    common, apart = disagreements(figures, json.loads(path.read_text())["figures"])
    print(f"\n{common - len(apart)} of {common} ratios agree with {path} within their spreads.")
    for line in apart:
        print(f"- {line}")


if __name__ == "__main__":
    sys.exit(main())
