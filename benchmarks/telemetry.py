"""CPU of a chat request and of a streamed token: telemetry off, on with a dead collector, and on with a live one.

    python -m benchmarks.telemetry [--rounds 9] [--requests 40] [--tokens 25] [--base PATH]

Each kind is a process of its own, for providers are the process's; they work in turns, on the same requests, through the
ASGI application, the HTTP client and a model endpoint on a loopback port. What a process spends on exporting is its own
CPU too. A request is one answer of `--tokens` tokens; a token is what each of 200 more adds. `--base` is a checkout of another version, measured in the same turns with telemetry off.
"""

import argparse
import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

__all__ = ["main", "work"]

_ROOT = Path(__file__).parents[1]
# Whatever checkout is measured, the program is this one; so it imports nothing of the benchmarks by name.
_PROGRAM = f"import runpy; runpy.run_path({str(Path(__file__).resolve())!r})['work']()"
_MORE_TOKENS = 200


def work() -> None:
    """Be one of the measured processes: answer each line, `tokens requests`, with milliseconds of CPU per request."""
    import logging
    import runpy

    from pydantic_ai import Agent

    from pais_lite import serve

    post_chat = runpy.run_path(str(Path(__file__).parent / "servers" / "in_process.py"))["post_chat"]
    # The lines of a run cost what they cost; where they go is the same for all.
    logging.basicConfig(level=logging.INFO, filename=os.devnull)
    server = serve(Agent(name="measured"))

    async def request(tokens: int) -> None:
        body = {"stream": True, "messages": [{"role": "user", "content": str(tokens)}]}
        await post_chat(server, json.dumps(body).encode())

    async def serve_lines() -> None:
        for _ in range(20):
            await request(5)
        gc.collect()
        gc.freeze()
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            tokens, times = map(int, line.split())
            began = time.process_time()
            for _ in range(times):
                await request(tokens)
            print((time.process_time() - began) / times * 1000, flush=True)

    asyncio.run(serve_lines())


class _Measured:
    """One of the processes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._to, self._from = process.stdin, process.stdout
        if self._from.readline() != "ready\n":
            raise RuntimeError("a process did not start")
        self.per_request: list[float] = []
        self.per_token: list[float] = []

    def measure(self, requests: int, tokens: int) -> None:
        few, many = self.ask(tokens, requests), self.ask(tokens + _MORE_TOKENS, max(1, requests // 4))
        self.per_request.append(few)
        self.per_token.append((many - few) / _MORE_TOKENS)

    def ask(self, tokens: int, requests: int) -> float:
        """Return the milliseconds of CPU of one of so many requests."""
        self._to.write(f"{tokens} {requests}\n")
        self._to.flush()
        return float(self._from.readline())


@contextmanager
def _process(root: Path, model_url: str, **settings: str) -> Iterator[_Measured]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environment |= {"PYTHONPATH": str(root), "MODEL_API_URL": model_url, "MODEL_NAME": "scripted", **settings}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            env=environment,
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            yield _Measured(process)
        finally:
            process.kill()
            process.communicate()


def main() -> None:
    """Measure in turns and print medians and their ratios."""
    from tests.support.endpoint import ModelCall, endpoint_in_thread
    from tests.support.otlp import collecting

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=25)
    parser.add_argument("--base", type=Path)
    arguments = parser.parse_args()

    async def count(call: ModelCall) -> None:
        await call.complete(" ".join(["word"] * int(call.body["messages"][-1]["content"])))

    with ExitStack() as stack:
        model = stack.enter_context(endpoint_in_thread(count))
        collector = stack.enter_context(collecting())
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"

        def started(root: Path = _ROOT, **settings: str) -> _Measured:
            return stack.enter_context(_process(root, model.url, **settings))

        kinds = {"base": started(arguments.base.resolve())} if arguments.base else {}
        kinds["off"] = started()
        kinds["on, dead collector"] = started(OTEL_ENABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT=dead)
        kinds["on, live collector"] = started(
            OTEL_ENABLED="true", OTEL_EXPORTER_OTLP_ENDPOINT=collector.http_url
        )
        for _ in range(arguments.rounds):
            for kind in kinds.values():
                kind.measure(arguments.requests, arguments.tokens)
        print(f"{'':20} {'ms/request':>11} {'of off':>8} {'µs/token':>9} {'of off':>8}")
        off = kinds["off"]
        for name, kind in kinds.items():
            print(
                f"{name:20} {median(kind.per_request):11.3f} {_ratio(kind.per_request, off.per_request):8.3f}"
                f" {median(kind.per_token) * 1000:9.1f} {_ratio(kind.per_token, off.per_token):8.3f}"
            )
        print(f"{len(collector.spans)} spans arrived at the live collector")


def _ratio(these: list[float], those: list[float]) -> float:
    return median(this / that for this, that in zip(these, those, strict=True))


if __name__ == "__main__":
    main()
