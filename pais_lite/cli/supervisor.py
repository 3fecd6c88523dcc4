"""Looks after the processes that serve one listening socket: several workers, or one that starts again on changes."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

__all__ = ["supervise"]

_log = logging.getLogger("pais_lite.cli")

_LOOK_SECONDS = 0.25
# A worker that dies at once would otherwise be started again as fast as the machine can.
_RESTART_SECONDS = 1.0
# The exit code of a worker whose settings or agent are wrong: starting it again cannot help.
_WRONG_CONFIGURATION = 2


def supervise(
    command: Sequence[str],
    environment: Mapping[str, str],
    listener: int,
    *,
    workers: int,
    watched: Sequence[Path],
    on_ready: Callable[[str], None],
) -> int:
    """Keep `workers` processes of `command` alive, which inherit the socket `listener`; return the exit code.

    They are also given `--ready-fd`, to which each writes the names of its agents once it serves; `on_ready` is called with
    the first line. All are started again when a Python file or `.env` below a `watched` folder changes, and then one that
    cannot start waits for the next change. SIGTERM and SIGINT are passed on, and end the supervisor once all have ended.
    """
    ready, ready_for_workers = os.pipe()
    os.set_blocking(ready, False)
    command = [*command, f"--ready-fd={ready_for_workers}"]

    def start() -> "subprocess.Popen[bytes]":
        # In a session of its own, so that Ctrl-C in a terminal reaches a worker once, through us.
        inherited = [listener, ready_for_workers]
        return subprocess.Popen(command, env=environment, pass_fds=inherited, start_new_session=True)  # noqa: S603

    # Only noted: an exception out of a handler could come between the start of a worker and our knowing of it.
    signals: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        # The first ends the loop below; a further one is the workers' business, who cut their runs short for it.
        if signals:
            _pass_on(running, number)
        signals.append(number)

    running: list[subprocess.Popen[bytes]] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    seen = _versions(watched)
    try:
        running.extend(start() for _ in range(workers))
        announced = False
        while not signals:
            time.sleep(_LOOK_SECONDS)
            if not announced and (name := _first_line(ready)) is not None:
                announced = True
                on_ready(name)
            if watched and (now := _versions(watched)) != seen:
                seen = now
                _log.info("a file has changed: starting again")
                _end(running)
                running[:] = [start() for _ in range(workers)]
            for place, worker in enumerate(running):
                code = worker.poll()
                if code is None or (watched and code == _WRONG_CONFIGURATION):
                    continue
                if code == _WRONG_CONFIGURATION:
                    return code
                _log.error("a worker ended with code %d; starting another", code)
                time.sleep(_RESTART_SECONDS)
                if not signals:
                    running[place] = start()
        return 0
    finally:
        _end(running)
        os.close(ready)
        os.close(ready_for_workers)


def _first_line(descriptor: int) -> str | None:
    """Return what the first worker wrote, `None` while none has; later ones may have written too."""
    try:
        return os.read(descriptor, 4096).decode().partition("\n")[0]
    except BlockingIOError:
        return None


def _end(running: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Ask all to end, which lets their runs finish, and wait until they have."""
    _pass_on(running, signal.SIGTERM)
    for worker in running:
        worker.wait()


def _pass_on(running: Sequence["subprocess.Popen[bytes]"], number: int) -> None:
    for worker in running:
        if worker.poll() is None:
            worker.send_signal(number)


def _versions(folders: Sequence[Path]) -> dict[Path, int]:
    """Return when each watched file was last written to."""
    versions: dict[Path, int] = {}
    for folder in folders:
        for path in [folder / ".env", *folder.rglob("*.py")]:
            if not any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts[:-1]):
                try:
                    versions[path] = path.stat().st_mtime_ns
                except FileNotFoundError:
                    continue
    return versions
