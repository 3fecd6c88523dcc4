"""Start a process, know when it answers, read what it has used, end it by its id. Linux only: it reads `/proc`."""

import contextlib
import http.client
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NotStarted", "Started", "started", "tree"]

_START_SECONDS = 90.0
_END_SECONDS = 10.0
_LOOK_SECONDS = 0.002


class NotStarted(Exception):
    """A process ended, or did not answer in time; the message holds the end of what it wrote."""


@dataclass(frozen=True)
class Started:
    """A process that answers."""

    pid: int
    port: int
    # From exec to the first answer to a probe.
    seconds: float

    def cpu_seconds(self) -> float:
        """Return what the process and those below it have used, in nanoseconds' precision, threads that ended included."""
        # The clock of another process, as clock_getcpuclockid(3) makes it.
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in tree(self.pid))

    def resident_bytes(self) -> int:
        """Return the resident memory of the process and those below it."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in tree(self.pid))

    def keep_to_one_core(self) -> None:
        """Let all its threads run on one core only, the last that this process may use."""
        core = max(os.sched_getaffinity(0))
        for pid in tree(self.pid):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {core})


def tree(pid: int) -> list[int]:
    """Return a process and all below it; those that have just ended are left out."""
    found = [pid]
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                found += tree(int(child))
    return found


@contextmanager
def started(
    command: Sequence[str], port: int, probe: str, environment: Mapping[str, str] | None = None
) -> Iterator[Started]:
    """Run a command until the block ends; it has answered `GET probe` with 200 when the block begins.

    Raises `NotStarted`.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            # Not the checkout: a server must find its package where it is installed.
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while not _answers(port, probe):
                if process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                    output.seek(0)
                    wrote = output.read().decode(errors="replace").strip()[-2000:]
                    raise NotStarted(f"{' '.join(command)} does not answer; it wrote: {wrote or 'nothing'}")
                time.sleep(_LOOK_SECONDS)
            yield Started(process.pid, port, time.perf_counter() - began)
        finally:
            _end(process)


def _answers(port: int, probe: str) -> bool:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=_START_SECONDS)
    ) as connection:
        try:
            connection.request("GET", probe)
            return connection.getresponse().status == 200
        except (ConnectionError, http.client.HTTPException):
            return False


def _end(process: "subprocess.Popen[bytes]") -> None:
    below = tree(process.pid)[1:]
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # A parent that was killed leaves its children behind.
    for pid in below:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
