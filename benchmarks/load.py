"""What the benchmarks of a whole service share: clients who know what is right, a watch on health, and a process."""

import asyncio
import http.client
import itertools
import json
import os
import select
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import urlsplit

import httpx2

__all__ = ["Load", "Watch", "looking_after", "watching"]

CHAT = "/v1/chat/completions"
_LOOK_SECONDS = 0.05


@dataclass
class Load:
    """Clients who ask until told to stop, each time something new, and look at what comes back.

    Right is the whole answer, and honest is any error that says it is one; everything else is wrong.
    """

    url: str
    right: int = 0
    honest: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: float = 0.0
    stopping: bool = False

    def __post_init__(self) -> None:
        self._numbers = itertools.count()

    async def ask_until_stopped(self, *, pause: float = 0.0) -> None:
        """Be one client, who keeps a session and streams every other time."""
        session = f"load-{next(self._numbers)}"
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as client:
            while not self.stopping:
                began = time.monotonic()
                await self._ask(client, session)
                self.slowest = max(self.slowest, time.monotonic() - began)
                await asyncio.sleep(pause)

    async def _ask(self, client: httpx2.AsyncClient, session: str) -> None:
        said = f"number {next(self._numbers)}"
        stream = next(self._numbers) % 2 == 0
        body = {"stream": stream, "messages": [{"role": "user", "content": said}]}
        try:
            answer = await client.post(CHAT, json=body, headers={"x-session-id": session})
        except httpx2.TransportError as exc:
            self.wrong.append(f"no answer: {exc!r}")
            return
        error, text = (
            _read_stream(answer.text) if stream and answer.status_code == 200 else _read_whole(answer)
        )
        if error is not None:
            self.honest[error] += 1
        elif text == f"You said {said}":
            self.right += 1
        else:
            self.wrong.append(f"{answer.status_code}: {text!r} to {said!r}")


def _read_whole(answer: httpx2.Response) -> tuple[str | None, str]:
    body: Any = answer.json()
    if answer.status_code != 200:
        return f"{answer.status_code} {body['error']['code']}", ""
    return None, body["choices"][0]["message"]["content"]


def _read_stream(text: str) -> tuple[str | None, str]:
    frames = [line[6:] for line in text.split("\n") if line.startswith("data: ")]
    if not frames or frames[-1] != "[DONE]":
        return None, f"a stream without its end: {text[-80:]}"
    chunks = [json.loads(frame) for frame in frames[:-1]]
    if "error" in chunks[-1]:
        return f"frame {chunks[-1]['error']['code']}", ""
    return None, "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", [])
    )


@dataclass
class Watch:
    """How fast `/health` answered, and how much memory the process had."""

    delays: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)

    def line(self) -> str:
        """Say it in one line."""
        ordered = sorted(self.delays)
        slow = quantiles(ordered, n=100)[98] if len(ordered) > 1 else ordered[0]
        return (
            f"/health median {ordered[len(ordered) // 2] * 1000:.0f} ms, 99 % {slow * 1000:.0f} ms, "
            f"worst {ordered[-1] * 1000:.0f} ms; memory {self.rss[0]} to {max(self.rss)} MB, {self.rss[-1]} at the end"
        )


@asynccontextmanager
async def watching(url: str, pid: int) -> AsyncIterator[Watch]:
    """Watch a server until the block ends, from a process of its own: the load keeps this one busy."""
    watch = Watch()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        url,
        str(pid),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        yield watch
    finally:
        seen, _ = await process.communicate(b"")
    watch.delays, watch.rss = json.loads(seen)


def _watch(url: str, pid: int) -> None:
    """Look until standard input ends, and write down what was seen."""
    parts = urlsplit(url)
    delays: list[float] = []
    rss: list[int] = []
    while not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        began = time.monotonic()
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        connection.request("GET", "/health")
        if connection.getresponse().status != 200:
            raise RuntimeError("/health did not answer with 200")
        connection.close()
        delays.append(time.monotonic() - began)
        rss.append(_rss_megabytes(pid))
    print(json.dumps([delays, rss]))


@asynccontextmanager
async def looking_after(*coroutines: Any) -> AsyncIterator[None]:
    """Run coroutines beside the block, and end them with it; what one of them raises is raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for exc in ended:
        if isinstance(exc, Exception):
            raise exc


def _rss_megabytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20


if __name__ == "__main__":
    _watch(sys.argv[1], int(sys.argv[2]))
