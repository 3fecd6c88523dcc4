"""Time from exec to the first answer of `/health`, beside a bare `import pydantic_ai`.

python -m benchmarks.startup [--rounds 10]
"""

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from socket import create_server
from statistics import median

__all__ = ["main"]

_GIVE_UP_SECONDS = 60.0


def _import_seconds() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import pydantic_ai"], check=True)
    return time.perf_counter() - began


def _health_seconds(folder: str) -> float:
    with closing(create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pais_lite", "run", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "DEBUG_MOCK_RESPONSES": '["Hello!"]'}
    began = time.perf_counter()
    server = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - began < _GIVE_UP_SECONDS:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_GIVE_UP_SECONDS)
                with closing(connection):
                    connection.request("GET", "/health")
                    if connection.getresponse().status == 200:
                        return time.perf_counter() - began
            except ConnectionRefusedError:
                time.sleep(0.002)
        raise TimeoutError("the server did not answer")
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    """Measure in turns and print medians and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    imports: list[float] = []
    healths: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        _import_seconds()
        _health_seconds(folder)
        for number in range(rounds):
            imports.append(_import_seconds())
            healths.append(_health_seconds(folder))
            print(f"round {number + 1}: import {imports[-1]:.3f} s, first answer {healths[-1]:.3f} s")
    ratios = sorted(health / imported for health, imported in zip(healths, imports, strict=True))
    print(f"import pydantic_ai   median {median(imports):.3f} s")
    print(f"exec to /health      median {median(healths):.3f} s")
    print(f"ratio                median {median(ratios):.3f}, from {ratios[0]:.3f} to {ratios[-1]:.3f}")


if __name__ == "__main__":
    main()
