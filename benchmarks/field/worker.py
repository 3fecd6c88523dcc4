"""A process that is given work by lines and answers with lines: what is measured without a socket."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.field.processes import NotStarted

__all__ = ["Worker", "worker"]


class Worker:
    """The process, once it is ready."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, line: str) -> Any:
        """Return what the process answers to a line."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        if not (answer := self._process.stdout.readline()):
            raise NotStarted(f"the process that was asked {line!r} ended with {self._process.wait()}")
        return json.loads(answer)


@contextmanager
def worker(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[Worker]:
    """Run a process until the block ends; it has said `ready` when the block begins. Raises `NotStarted`."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise NotStarted(f"{Path(command[1]).name} did not get ready")
        yield Worker(process)
    finally:
        process.kill()
        process.communicate()
