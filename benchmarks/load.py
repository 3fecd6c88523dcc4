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
from typing import Any
from urllib.parse import urlsplit

import httpx2

__all__ = ["Load", "Watch", "looking_after", "watching"]

CHAT = "/v1/chat/completions"
_LOOK_SECONDS = 0.05
_IN_TIME_SECONDS = 0.1


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

    async def ask_once(self) -> None:
        """Be a client who asks once."""
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False, timeout=60) as client:
            await self._ask(client, "load-first")

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
    """How fast `/health` answered, at the server and at an idle one beside it, and how much memory the server had.

    What the idle one takes in the same seconds is the machine's own: others work on it, and so does the load.
    """

    delays: list[float] = field(default_factory=list)
    idle_delays: list[float] = field(default_factory=list)
    rss: list[int] = field(default_factory=list)

    def line(self) -> str:
        """Say it in one line."""
        return (
            f"/health {_spread(self.delays)}; of an idle server {_spread(self.idle_delays)}; "
            f"memory {self.rss[0]} to {max(self.rss)} MB, {self.rss[-1]} at the end"
        )


def _spread(delays: list[float]) -> str:
    ordered = sorted(delays)
    at = [ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.99)]
    in_time = sum(delay < _IN_TIME_SECONDS for delay in ordered) / len(ordered)
    return (
        f"median {at[0]:.0f} ms, 99 % {at[1]:.0f} ms, worst {ordered[-1] * 1000:.0f} ms, "
        f"{in_time:.1%} under {_IN_TIME_SECONDS * 1000:.0f} ms"
    )


@asynccontextmanager
async def watching(url: str, pid: int, idle_url: str) -> AsyncIterator[Watch]:
    """Watch a server until the block ends, from a process of its own: the load keeps this one busy.

    `idle_url` is where a server of the same kind does nothing else.
    """
    watch = Watch()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        url,
        str(pid),
        idle_url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        yield watch
    finally:
        seen, _ = await process.communicate(b"")
    watch.delays, watch.idle_delays, watch.rss = json.loads(seen)


def _watch(url: str, pid: int, idle_url: str) -> None:
    """Look until standard input ends, and write down what was seen."""
    delays: list[float] = []
    idle_delays: list[float] = []
    rss: list[int] = []
    while not select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
        delays.append(_health_seconds(url))
        idle_delays.append(_health_seconds(idle_url))
        rss.append(_rss_megabytes(pid))
    print(json.dumps([delays, idle_delays, rss]))


def _health_seconds(url: str) -> float:
    parts = urlsplit(url)
    began = time.monotonic()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", "/health")
    if connection.getresponse().status != 200:
        raise RuntimeError("/health did not answer with 200")
    connection.close()
    return time.monotonic() - began


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
    _watch(sys.argv[1], int(sys.argv[2]), sys.argv[3])
