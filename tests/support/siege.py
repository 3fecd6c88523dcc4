"""Throws bytes at a real server and holds what comes back, and what is left behind, against what was promised.

Promised is: no 500, an end to every connection, no secret, path or traceback in an answer, no header that nobody meant,
and after all of it the same process, with what it held before, that answers and then ends well.
"""

import asyncio
import json
import os
import random
import re
import signal
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import httpx2

from tests.support.asgi import Answer, chat
from tests.support.processes import Process, running
from tests.support.raw_http import Plan, make_plan
from tests.support.sockets import request_bytes

__all__ = ["KEY", "Besieged", "ServerKind", "besieged"]

ServerKind = Literal["pais run", "uvicorn"]

CHAT = "/v1/chat/completions"
KEY = "key-of-the-fuzzer"
# Nobody ever sends these, so nobody may ever read them.
_SECRETS = [b"the-other-key-d41d8c", b"the-model-key-8f3a1b", b"10.99.88.77"]
_INTERNALS = [b"Traceback", b"site-packages", b"pais_lite/", b'File "', b"hypercorn", b"0x7f", b"pydantic_ai"]
_HEADER_NAMES = {
    *["content-type", "content-length", "transfer-encoding", "connection", "date", "cache-control", "allow"],
    *[
        "x-content-type-options",
        "x-session-id",
        "x-run-id",
        "x-accel-buffering",
        "x-should-retry",
        "retry-after",
    ],
    *["www-authenticate", "etag", "last-modified", "vary", "upgrade", "server"],
    *["access-control-allow-origin", "access-control-expose-headers", "access-control-allow-methods"],
    *["access-control-max-age", "access-control-allow-headers"],
}
# What a server may say of a request that is not one: `501` is for transfer codings that nobody knows.
_SERVER_ERRORS_ALLOWED = {501, 505}
_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
# Far more than anything takes, also where many others work on the same machine.
_MAX_SECONDS = 60.0
_SETTLE_SECONDS = 20.0
_QUIET_SECONDS = 0.1
_AT_ONCE = 24
_FIRST_CONNECTIONS = 50

_AGENT = """
import asyncio
import gc
import os

from pais_lite import AgentDeps
from pydantic_ai import Agent, RunContext

agent = Agent(name="fuzzed", deps_type=AgentDeps)


@agent.tool
async def census(ctx: RunContext[AgentDeps]) -> dict[str, object]:
    \"\"\"Count what this process holds, and tell where its tasks are.\"\"\"
    if not ctx.deps.session_id.startswith("census"):
        return {}
    gc.collect()
    places = sorted(place(task.get_coro()) for task in asyncio.all_tasks())
    # Pydantic AI 2.68 loses the task that holds a model's stream open when a run is cancelled in the moment in which
    # that task says that it is ready. Nothing outside can tell or end it, so these are counted apart.
    lost = [where for where in places if "/_streaming_handler:" in where]
    where = [where for where in places if where not in lost]
    files = len(os.listdir("/proc/self/fd"))
    return {"tasks": len(where), "files": files, "where": where, "lost": len(lost)}


def place(coroutine: object) -> str:
    names = []
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        names.append(f"{frame.f_code.co_name}:{frame.f_lineno}")
        coroutine = getattr(coroutine, "cr_await", None)
    return "/".join(names)
"""
_APP = """
from pais_lite import serve
from server import agent

app = serve(agent)
"""
_SAYS = [{"tool_calls": [{"name": "census", "arguments": {}}]}, "one two three four five"]
_ENVIRONMENT = {
    "DEBUG_MOCK_RESPONSES": json.dumps(_SAYS),
    "AGENT_API_KEYS": f"fuzzer:{KEY},other:{_SECRETS[0].decode()}",
    "MODEL_API_URL": f"http://{_SECRETS[2].decode()}:1",
    "MODEL_NAME": "unused",
    "MODEL_API_KEY": _SECRETS[1].decode(),
    "MAX_REQUEST_BYTES": "100000",
    "MEMORY_MAX_SESSIONS": "50",
    "MEMORY_MAX_SESSION_EVENTS": "50",
    "CORS_ALLOW_ORIGINS": "https://a.example",
    "LOG_LEVEL": "WARNING",
}
_COMMANDS: dict[ServerKind, tuple[list[str], str]] = {
    "pais run": (["pais_lite", "run", "--host", "127.0.0.1", "--port", "0"], r"is ready at (http://\S+)\. "),
    "uvicorn": (["uvicorn", "--port", "0", "app:app"], r"running on (http://\S+)"),
}


@dataclass
class Besieged:
    """A server under test, and everything that it did wrong."""

    kind: ServerKind
    process: Process
    folder: Path
    wrong: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    connections: int = 0
    megabytes: list[int] = field(default_factory=list)
    where: list[str] = field(default_factory=list)
    # Tasks that Pydantic AI lost; see the census.
    lost: int = 0

    async def endure(self, seed: int, connections: int, *, first: int = 0) -> None:
        """Make so many connections, some at a time; number `n` does the same whenever the seed is the same."""
        requests = await self._requests()
        numbers = iter(range(first, first + connections))

        async def client() -> None:
            for number in numbers:
                await self._attempt(f"{seed}-{number}", requests)

        await asyncio.gather(*(client() for _ in range(_AT_ONCE)))

    async def begin(self, seed: int) -> dict[str, int]:
        """Fill caches with some connections, wait until they are gone, and return what the server holds then."""
        await self.endure(seed, _FIRST_CONNECTIONS)
        held = await self.census()
        while (now := await self.census()) != held:
            held = now
            await asyncio.sleep(0.5)
        self.note_memory()
        return held

    async def census(self) -> dict[str, int]:
        """Return what the server holds when nobody asks it for anything else."""
        session = f"census-{time.monotonic_ns()}"
        async with self._client() as client:
            answer = await client.post(CHAT, json=chat(session_id=session))
            assert answer.status_code == 200, answer.text
            events = (await client.get("/memory/events", params={"session_id": session})).json()["events"]
        found = next(event["content"]["result"] for event in events if event["event_type"] == "tool_result")
        self.where, self.lost = found.pop("where"), found.pop("lost")
        held: dict[str, int] = found
        return held

    async def settled(self, before: dict[str, int]) -> None:
        """Wait until the server holds no more than `before`; what does not go away by then is wrong."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        if self.lost > 2 + self.connections // 200:
            self.wrong.append(f"{self.lost} streams were lost by Pydantic AI: too many for its odd moment")
        while (now := await self.census()) != before and any(now[name] > before[name] for name in before):
            if time.monotonic() > deadline:
                self.wrong.append(f"left behind: {now}, at first {before}; tasks at {self.where}")
                return
            await asyncio.sleep(0.2)

    async def still_serves(self) -> None:
        """Ask as anybody would: probes, and more runs at once than would be free if some had never ended."""
        async with self._client() as client:
            began = time.monotonic()
            health = await client.get("/health")
            if health.status_code != 200 or time.monotonic() - began > 2:
                self.wrong.append(f"/health: {health.status_code} after {time.monotonic() - began:.1f} s")
            answers = await asyncio.gather(
                *(client.post(CHAT, json=chat(stream=bool(n % 2))) for n in range(32))
            )
        for answer in answers:
            text = Answer(body=answer.content).text() if "data: " in answer.text else answer.text
            if answer.status_code != 200 or "three four five" not in text:
                self.wrong.append(f"at the end, a chat request got {answer.status_code}: {answer.text[:200]}")

    def ends_well(self) -> None:
        """Stop the server; what it has written by then must not be about us."""
        code = self.process.stop()
        written = self.process.output()
        # uvicorn ends by the signal that asked it to stop, after it has stopped in peace.
        if code != 0 and not (self.kind == "uvicorn" and code == -signal.SIGTERM):
            self.wrong.append(f"it ended with {code}")
        if "Traceback" in written or "ERROR" in written:
            self.wrong.append(f"it wrote {written[-4000:]}")

    def note_memory(self) -> None:
        """Write down the resident memory of the process."""
        pages = int(Path(f"/proc/{self.process.popen.pid}/statm").read_text().split()[1])
        self.megabytes.append(pages * os.sysconf("SC_PAGE_SIZE") // 2**20)

    def _client(self) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx2.AsyncClient(base_url=self.process.url, headers=headers, trust_env=False, timeout=20)

    async def _requests(self) -> Sequence[bytes]:
        """Return a valid request for each route that the server says it has."""
        async with self._client() as client:
            routes = (await client.get("/")).json()["routes"]
        requests = [_request("GET", "/"), _request("OPTIONS", CHAT)]
        for route in routes:
            method, _, path = route.partition(" ")
            path = re.sub(r"\{.*?\}", "fuzzed", path)
            bodies = (
                [chat(stream=True), chat(stream=False), chat(session_id="one")]
                if method == "POST"
                else [None]
            )
            requests.extend(
                _request(method, path, b"" if body is None else json.dumps(body).encode()) for body in bodies
            )
        return requests

    async def _attempt(self, name: str, requests: Sequence[bytes]) -> None:
        plan = make_plan(random.Random(name), requests)
        began = time.monotonic()
        try:
            async with asyncio.timeout(_MAX_SECONDS):
                answer = await self._carry_out(plan)
        except TimeoutError:
            self.wrong.append(f"{name}: no end within {_MAX_SECONDS:g} s: {_shown(plan)}")
            return
        finally:
            self.connections += 1
        self.slowest = max(self.slowest, time.monotonic() - began)
        for problem in self._problems(plan, answer):
            self.wrong.append(f"{name}: {problem}: {_shown(plan)} got {answer[:1000]!r}")

    async def _carry_out(self, plan: Plan) -> bytes:
        parts = urlsplit(self.process.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        answer = bytearray()
        try:
            for piece in plan.pieces:
                writer.write(piece)
                await _drained(writer, answer, reader)
                if plan.pause:
                    await asyncio.sleep(plan.pause)
            if plan.read_before_end:
                await _read_quietly(reader, answer, plan.read_before_end)
            elif plan.ending == "half-close":
                # A half-closed connection counts as a client gone, so what is to be answered is answered before.
                await _read_quietly(reader, answer, 1_000_000)
            if plan.ending == "abort":
                return bytes(answer)
            if plan.ending == "half-close" and not reader.at_eof():
                writer.write_eof()
            while data := await reader.read(65536):
                answer += data
        except OSError:
            # Cut by the server, as what makes no sense may be.
            pass
        finally:
            writer.transport.abort()
        return bytes(answer)

    def _problems(self, plan: Plan, answer: bytes) -> Iterator[str]:
        for secret in [*_SECRETS, *_INTERNALS, os.fsencode(self.folder)]:
            if secret in answer and not any(secret in piece for piece in plan.pieces):
                yield f"the answer holds {secret!r}"
        heads = list(_HEAD.finditer(answer))
        for head in heads:
            self.statuses[head[1].decode()] += 1
            if (status := int(head[1])) >= 500 and status not in _SERVER_ERRORS_ALLOWED:
                yield f"status {status}"
            for line in head[2].split(b"\r\n")[:-1]:
                header = line.partition(b":")[0].decode("latin-1").lower()
                if header not in _HEADER_NAMES:
                    yield f"a header {header!r}"
        if plan.well_formed and not heads:
            yield "no answer"


async def _drained(writer: asyncio.StreamWriter, answer: bytearray, reader: asyncio.StreamReader) -> None:
    """Wait until the server took what was sent; one that answers meanwhile is listened to."""
    drain = asyncio.ensure_future(writer.drain())
    while not (await asyncio.wait([drain], timeout=_QUIET_SECONDS))[0]:
        await _read_quietly(reader, answer, 1_000_000)
    drain.result()


async def _read_quietly(reader: asyncio.StreamReader, answer: bytearray, most: int) -> None:
    """Read until nothing more comes for a while, or enough has."""
    try:
        while len(answer) < most:
            async with asyncio.timeout(_QUIET_SECONDS):
                data = await reader.read(65536)
            if not data:
                return
            answer += data
    except TimeoutError:
        return


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    return request_bytes(method, path, body, authorization=f"Bearer {KEY}", origin="https://a.example")


def _shown(plan: Plan) -> str:
    return textwrap.shorten(repr(plan), 3000)


@contextmanager
def besieged(kind: ServerKind, folder: Path) -> Iterator[Besieged]:
    """Run a server on an agent of its own, whose model is a mock, for as long as the block lasts."""
    (folder / "server.py").write_text(_AGENT)
    (folder / "app.py").write_text(_APP)
    command, ready = _COMMANDS[kind]
    with running([sys.executable, "-m", *command], ready=ready, env=_ENVIRONMENT, cwd=folder) as process:
        yield Besieged(kind, process, folder)
