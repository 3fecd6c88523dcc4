"""The seed system, `pydantic-ai-server`, beside this package: what an installation holds, and how it starts.

    python -m benchmarks.seed_system --seed-python VENV/bin/python --our-python VENV/bin/python [--rounds 5]

Both are virtual environments that hold one of the two and nothing else, for example made by `uv venv --python 3.12` and
`uv pip install pydantic-ai-server`, or this checkout's folder. In turns, each serves the same agent on a mock, is asked
for `/health` from its first moment on, then answers a chat request, and is looked at.
"""

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from statistics import median

__all__ = ["main"]

_GIVE_UP_SECONDS = 120.0
_AGENT = 'from pydantic_ai import Agent\n\nagent = Agent("test", name="measured", defer_model_check=True)\n'
_CHAT = json.dumps({"model": "agent", "messages": [{"role": "user", "content": "hi"}]})


@dataclass
class Measured:
    """One system, and what was seen of it."""

    name: str
    command: Sequence[str]
    megabytes: float
    distributions: int
    first_answers: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)


def _installed(python: str) -> tuple[float, int]:
    """Return megabytes, bytecode not counted, and the number of distributions, pip and what it needs not counted."""
    packages = next((Path(python).absolute().parent.parent / "lib").glob("python*/site-packages"))
    size = sum(
        path.stat().st_size
        for path in packages.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc"
    )
    tools = ("pip-", "setuptools-")
    found = [path.name for path in packages.glob("*.dist-info") if not path.name.startswith(tools)]
    return size / 1e6, len(found)


def _start(system: Measured) -> None:
    """Start it, wait for its first answer, ask it for a chat, note its memory, and stop it."""
    with closing(create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "AGENT_NAME": "measured",
        "AGENT_PORT": str(port),
        "DEBUG_MOCK_RESPONSES": '["Hello!"]',
        "MODEL_API_URL": "http://127.0.0.1:9",
        "MODEL_NAME": "mock",
    }
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "server.py").write_text(_AGENT)
        began = time.perf_counter()
        server = subprocess.Popen(
            [*system.command, "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while _status(port, "GET", "/health") != 200:
                if time.perf_counter() - began > _GIVE_UP_SECONDS or server.poll() is not None:
                    raise TimeoutError(f"{system.name} did not answer")
                time.sleep(0.002)
            system.first_answers.append(time.perf_counter() - began)
            system.cpu_seconds.append(_cpu_seconds(server.pid))
            if _status(port, "POST", "/v1/chat/completions", _CHAT) != 200:
                raise RuntimeError(f"{system.name} did not answer a chat request")
            pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
            system.rss.append(pages * os.sysconf("SC_PAGE_SIZE") // 2**20)
        finally:
            server.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                server.wait(30)
            server.kill()
            server.wait()


def _cpu_seconds(pid: int) -> float:
    """Return what the process has used, which other work on the machine changes less than the time that it took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status(port: int, method: str, path: str, body: str | None = None) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_GIVE_UP_SECONDS)
    with closing(connection), suppress(ConnectionRefusedError):
        connection.request(method, path, body, {"content-type": "application/json"})
        return connection.getresponse().status
    return None


def main() -> int:
    """Measure both in turns and print them side by side."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed-python", required=True)
    parser.add_argument("--our-python", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    systems = [
        Measured(
            "pydantic-ai-server",
            [str(Path(arguments.seed_python).absolute().parent / "pais"), "run", "server.py"],
            *_installed(arguments.seed_python),
        ),
        Measured(
            "pais-lite",
            [str(Path(arguments.our_python).absolute().parent / "pais"), "run", "server.py"],
            *_installed(arguments.our_python),
        ),
    ]
    for number in range(arguments.rounds + 1):
        for system in systems:
            _start(system)
            print(f"round {number}: {system.name} {system.first_answers[-1]:.2f} s", flush=True)
            if not number:
                # The first writes bytecode.
                system.first_answers.clear()
                system.cpu_seconds.clear()
                system.rss.clear()
    print(
        "| | distributions | MB | first answer, s | CPU until then, s | resident after a chat request, MB |"
    )
    print("|---|---|---|---|---|---|")
    for system in systems:
        starts = sorted(system.first_answers)
        print(
            f"| {system.name} | {system.distributions} | {system.megabytes:.0f} | "
            f"{median(starts):.2f} ({starts[0]:.2f} to {starts[-1]:.2f}) | {median(system.cpu_seconds):.2f} | "
            f"{median(system.rss):.0f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
