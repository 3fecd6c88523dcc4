"""Starts real processes, waits until they are ready, and ends them by their process ids."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from pais_lite import Settings

START_TIMEOUT = 120.0
STOP_TIMEOUT = 30.0
# The first run of a machine reads 98 MB of weights from its disk, and its processors may be busy.
LOCAL_TIMEOUT = 120.0
# An empty variable counts as unset, so these keep the settings of whoever runs the tests out of a server.
UNSET = dict.fromkeys([*(field.name.upper() for field in fields(Settings)), "AGENT_LOG_LEVEL"], "")


@dataclass
class Process:
    """A process that said it was ready."""

    popen: "subprocess.Popen[str]"
    url: str
    lines: "queue.SimpleQueue[str]"

    def output(self) -> str:
        """Return what it has written since the last call."""
        written: list[str] = []
        while not self.lines.empty():
            written.append(self.lines.get())
        return "".join(written)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(STOP_TIMEOUT)


def is_alive(pid: int) -> bool:
    """Return whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def running(
    command: Sequence[str],
    *,
    ready: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    start_timeout: float = START_TIMEOUT,
) -> Iterator[Process]:
    """Run a command until the block ends; `ready` is a pattern whose first group is the URL at which it answers."""
    popen = subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        assert popen.stdout is not None
        for line in popen.stdout:
            lines.put(line)
        lines.put("")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    seen = ""
    try:
        while (match := re.search(ready, seen)) is None:
            line = lines.get(timeout=start_timeout)
            seen += line
            if not line:
                raise AssertionError(f"{command} ended before it was ready:\n{seen}")
        yield Process(popen, match[1], lines)
    finally:
        if popen.poll() is None:
            popen.terminate()
        try:
            popen.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()
        reader.join(STOP_TIMEOUT)
        assert popen.stdout is not None
        popen.stdout.close()


@contextmanager
def pais_run(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    start_timeout: float = START_TIMEOUT,
) -> Iterator[Process]:
    """Run `pais run` on a free loopback port."""
    command = [sys.executable, "-m", "pais_lite", "run", "--host", "127.0.0.1", "--port", "0", *arguments]
    with running(
        command, ready=r"(?:is|are) ready at (http://\S+)\. ", env=env, cwd=cwd, start_timeout=start_timeout
    ) as process:
        yield process


def local_pais_run(folder: Path) -> AbstractContextManager[Process]:
    """Run `pais run --local`, on a real model in its process."""
    return pais_run("--local", env=UNSET, cwd=folder, start_timeout=LOCAL_TIMEOUT)
