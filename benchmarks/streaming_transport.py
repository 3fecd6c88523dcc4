"""Tokens per CPU second of a server, and how late a token is, with the streaming transport and without it.

    python -m benchmarks.streaming_transport --rounds 3

Every part is a process of its own on loopback: an upstream that writes rendered chat-completion chunks (each token in
an HTTP chunk of its own), and the servers that are compared, on uvicorn unless it says otherwise. This process is their client.

plain    FastAPI and `agent.run_stream_events`, one server-sent event for each delta
merged   the same application with `MergingTransport` under its model
pais     the server of this package
pais-run the same under `pais run`, on hypercorn
relay    an ASGI application that passes the upstream's bytes on, without an agent: the floor

The servers take turns within each round, so that what the machine does besides meets all of them.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic_ai import Agent, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

import pais_lite
from benchmarks import plots
from pais_lite.models.streaming import streaming_client

__all__ = ["main"]

SERVERS = ("plain", "merged", "pais", "pais-run", "relay")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CONTENT = re.compile(rb'"content": ?"((?:[^"\\]|\\.)*)"')


# ------------------------------------------------------------------------------------------------------- upstream


def http_chunk(delta: dict[str, Any], **fields: Any) -> bytes:
    choice = {
        "index": 0,
        "delta": delta,
        "logprobs": None,
        "finish_reason": fields.pop("finish_reason", None),
    }
    document = {
        "id": "chatcmpl-0123456789abcdef",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "system_fingerprint": "fp_0123456789",
        "choices": [choice] if delta or choice["finish_reason"] else [],
        **fields,
    }
    data = b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


def ending(tokens: int) -> bytes:
    usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
    last = http_chunk({}, finish_reason="stop") + http_chunk({}, usage=usage)
    return last + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


async def answer_upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with the tokens that its prompt asks for; a rate of 0 is as fast as they are taken."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            body = await reader.readexactly(int(found.group(1)) if found else 0)
            wish = re.search(rb"tokens=(\d+) rate=(\d+)", body)
            tokens, rate = (int(wish.group(1)), int(wish.group(2))) if wish else (1, 0)
            writer.write(HEAD + http_chunk({"role": "assistant", "content": ""}))
            if rate:
                start = time.monotonic()
                for number in range(tokens):
                    await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
                    writer.write(http_chunk({"content": f"{time.monotonic():.6f} "}))
            else:
                writer.write(b"".join(http_chunk({"content": f"{number} "}) for number in range(tokens)))
            writer.write(ending(tokens))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def serve_upstream(port: int) -> None:
    server = await asyncio.start_server(answer_upstream, "127.0.0.1", port, backlog=1000)
    await server.serve_forever()


# -------------------------------------------------------------------------------------------------------- servers


def agent_application(upstream: str, *, merged: bool) -> FastAPI:
    client = (
        streaming_client()
        if merged
        else httpx2.AsyncClient(timeout=600, limits=httpx2.Limits(max_connections=1000))
    )
    provider = OpenAIProvider(base_url=upstream, api_key="none", http_client=client)
    agent = Agent(OpenAIChatModel("m", provider=provider))
    application = FastAPI()

    async def stream(prompt: str) -> AsyncIterator[bytes]:
        async with agent.run_stream_events(prompt) as events:
            async for event in events:
                if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                    text = event.part.content
                elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    text = event.delta.content_delta
                else:
                    continue
                delta = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
                yield b"data: " + json.dumps(delta).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"

    @application.post("/v1/chat/completions")
    async def answer(request: Request) -> StreamingResponse:
        return StreamingResponse(stream((await request.json())["prompt"]), media_type="text/event-stream")

    return application


class Relay:
    def __init__(self, upstream: str) -> None:
        self.url = f"{upstream}/chat/completions"
        self.client = httpx2.AsyncClient(timeout=600, limits=httpx2.Limits(max_connections=1000))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        headers = [(b"content-type", b"text/event-stream")]
        async with self.client.stream("POST", self.url, content=body) as response:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async for data in response.aiter_raw():
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def serve(role: str, port: int, upstream: str) -> None:
    if role == "upstream":
        asyncio.run(serve_upstream(port))
        return
    application: Any
    if role == "relay":
        application = Relay(upstream)
    elif role == "pais":
        application = pais_lite.serve(Agent(), model_api_url=upstream, model_name="m")
    else:
        application = agent_application(upstream, merged=role == "merged")
    uvicorn.run(application, port=port, log_level="warning", lifespan="off", loop="asyncio", http="h11")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(role: str, upstream: str = "") -> Iterator[tuple[int, int]]:
    """Run one part; yield its process id and its port once it listens."""
    port = free_port()
    environment = dict(os.environ)
    if role == "pais-run":
        command = [sys.executable, "-m", "pais_lite", "run", "--host", "127.0.0.1", "--port", str(port)]
        environment.update(MODEL_API_URL=upstream, MODEL_NAME="m", LOG_LEVEL="WARNING")
    else:
        command = [sys.executable, "-m", "benchmarks.streaming_transport", "--serve", role]
        command += ["--port", str(port), "--upstream", upstream]
    part = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if part.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield part.pid, port
    finally:
        part.terminate()
        try:
            part.wait(5)
        except subprocess.TimeoutExpired:
            part.kill()
            part.wait()


# --------------------------------------------------------------------------------------------------------- client


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def request(port: int, tokens: int, rate: int) -> AsyncIterator[asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    prompt = f"tokens={tokens} rate={rate}"
    body = json.dumps(
        {"prompt": prompt, "messages": [{"role": "user", "content": prompt}], "stream": True}
    ).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: b\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    try:
        yield reader
    finally:
        writer.close()


async def whole_text(port: int, tokens: int) -> None:
    async with request(port, tokens, 0) as reader:
        answer = await reader.read(-1)
    text = b"".join(CONTENT.findall(answer))
    if text != b"".join(b"%d " % number for number in range(tokens)):
        raise SystemExit(f"the text is not what the upstream wrote: {answer[-300:]!r}")


async def saturate(port: int, streams: int, tokens: int) -> None:
    async with asyncio.timeout(300):
        await asyncio.gather(*(whole_text(port, tokens) for _ in range(streams)))


async def lateness(port: int, tokens: int, rate: int) -> list[float]:
    """Return how many seconds after the upstream wrote it each token was here."""
    late: list[float] = []
    async with request(port, tokens, rate) as reader:
        while line := await reader.readline():
            now = time.monotonic()
            for text in CONTENT.findall(line):
                late += [now - float(sent) for sent in text.split()]
    if len(late) != tokens:
        raise SystemExit(f"{len(late)} tokens came of {tokens}")
    return late


async def real_time(port: int, streams: int, tokens: int, rate: int) -> list[float]:
    async with asyncio.timeout(300):
        every = await asyncio.gather(*(lateness(port, tokens, rate) for _ in range(streams)))
    return [late for one in every for late in one]


# --------------------------------------------------------------------------------------------------------- report


def quantiles(late: list[float]) -> str:
    ordered = sorted(late)
    places = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    shown = [f"{name} {ordered[int(len(ordered) * share)] * 1000:9.2f}" for name, share in places.items()]
    return "  ".join([*shown, f"max {ordered[-1] * 1000:9.2f} ms"])


def report_saturation(ports: dict[str, tuple[int, int]], args: argparse.Namespace) -> None:
    speeds: dict[str, list[float]] = {name: [] for name in ports}
    for _ in range(args.rounds):
        for name, (pid, port) in ports.items():
            before = cpu_seconds(pid)
            asyncio.run(saturate(port, args.streams, args.tokens))
            speeds[name].append(args.streams * args.tokens / (cpu_seconds(pid) - before))
    print(f"\ntokens per CPU second, {args.streams} streams of {args.tokens} tokens as fast as they go")
    for name, values in speeds.items():
        line = (
            f"  {name:8}{statistics.median(values):10.0f}   of {' '.join(f'{value:.0f}' for value in values)}"
        )
        for other in ("plain", "relay"):
            if other in speeds and other != name:
                ratio = statistics.median(a / b for a, b in zip(values, speeds[other], strict=True))
                line += f"   {ratio:.2f} x {other}"
        print(line)
    if args.plots is not None:
        title = f"{args.streams} streams of {args.tokens} tokens, as fast as they go"
        plots.bars(args.plots / "streaming-saturation.svg", title, "tokens per CPU second", {"": speeds})


def report_lateness(ports: dict[str, tuple[int, int]], args: argparse.Namespace, streams: int) -> None:
    late: dict[str, list[float]] = {name: [] for name in ports}
    tokens = int(args.seconds * args.rate)
    for _ in range(args.rounds):
        for name, (_, port) in ports.items():
            late[name] += asyncio.run(real_time(port, streams, tokens, args.rate))
    print(f"\nlateness of a token, {streams} stream(s) of {args.rate} tokens per second for {args.seconds} s")
    for name, values in late.items():
        print(f"  {name:8}{quantiles(values)}")
    if args.plots is not None:
        title = f"Lateness of a token, {streams} stream(s) of {args.rate} tokens per second"
        path = args.plots / f"streaming-lateness-{streams}.svg"
        milliseconds = {name: [late * 1000 for late in values] for name, values in late.items()}
        plots.distributions(path, title, "milliseconds", milliseconds)


def main() -> None:
    """Measure, or with `--serve` be one of the parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=60, help="at once, when saturated")
    parser.add_argument("--tokens", type=int, default=500, help="of each stream, when saturated")
    parser.add_argument(
        "--rate", type=int, default=100, help="tokens per second of a stream, for the lateness"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a stream, for the lateness")
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=SERVERS)
    parser.add_argument("--only", choices=("saturation", "one", "many"), help="one of the three measurements")
    parser.add_argument("--plots", type=Path, help="a folder for plots")
    parser.add_argument("--serve", choices=("upstream", *SERVERS), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--upstream", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.serve, args.port, args.upstream)
        return
    with process("upstream") as (_, upstream_port):
        upstream = f"http://127.0.0.1:{upstream_port}/v1"
        with ExitStack() as parts:
            ports = {name: parts.enter_context(process(name, upstream)) for name in args.servers}
            for _, port in ports.values():
                asyncio.run(saturate(port, 5, 50))
            if args.only in (None, "saturation"):
                report_saturation(ports, args)
            if args.only in (None, "one"):
                report_lateness(ports, args, 1)
            if args.only in (None, "many"):
                report_lateness(ports, args, args.streams)


if __name__ == "__main__":
    main()
