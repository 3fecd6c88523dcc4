"""Who is measured: the packages of each server, how it is started, what it speaks, and what it really does."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from benchmarks.field.client import WrongAnswer
from benchmarks.field.dialects import ADK, AGNO, CHAT, VERCEL, Dialect
from benchmarks.field.environments import ROOT, Environment, Environments, NotInstalled
from benchmarks.field.processes import NotStarted, Started, started
from benchmarks.field.progress import Progress
from tests.support.ports import free_port

__all__ = [
    "FASTAPI",
    "FLOOR",
    "FOLDER",
    "OURS",
    "SEED",
    "SERVERS",
    "Field",
    "Member",
    "Running",
    "Server",
    "Suite",
    "gather",
    "surroundings",
    "this_environment",
]

T = TypeVar("T")
FOLDER = ROOT / "benchmarks" / "servers"
FLOOR = "floor"
FASTAPI = "fastapi"
SEED = "pydantic-ai-server"
OURS = ("pais-hypercorn", "pais-uvicorn", "pais-granian")


@dataclass(frozen=True)
class Server:
    """One of those that are measured."""

    name: str
    what: str
    packages: tuple[str, ...]
    # Without the leading names of the environment: a module for uvicorn, or a command.
    command: Callable[[Environment, int], list[str]]
    dialect: Dialect = CHAT
    probe: str = "/health"
    settings: Mapping[str, str] = field(default_factory=dict)
    # Known well enough from few streams: many would keep the machine busy for minutes in each round.
    is_slow: bool = False


def _uvicorn(module: str) -> Callable[[Environment, int], list[str]]:
    def command(environment: Environment, port: int) -> list[str]:
        return [
            *(str(environment.python), "-m", "uvicorn", "--app-dir", str(FOLDER), f"{module}:application"),
            *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
        ]

    return command


def _pais_run(environment: Environment, port: int) -> list[str]:
    agent = str(FOLDER / "agent.py")
    return [environment.script("pais"), "run", agent, "--host", "127.0.0.1", "--port", str(port)]


def _granian(environment: Environment, port: int) -> list[str]:
    return [
        *(environment.script("granian"), "--interface", "asgi", "--working-dir", str(FOLDER)),
        *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning", "pais:application"),
    ]


def _adk(environment: Environment, port: int) -> list[str]:
    return [
        *(environment.script("adk"), "api_server", "--host", "127.0.0.1", "--port", str(port)),
        # Its default is a database in a file, which refuses work when it is asked by several at once.
        *("--session_service_uri", "memory://", "--artifact_service_uri", "memory://"),
        *("--auto_create_session", "--log_level", "warning", str(FOLDER / "adk")),
    ]


# The thousand streams are more than the default allows.
_PAIS = {"MAX_CONCURRENT_RUNS": "2000"}

SERVERS = (
    Server("pais-hypercorn", "this package under `pais run`", (".",), _pais_run, settings=_PAIS),
    Server("pais-uvicorn", "this package on uvicorn", (".", "uvicorn"), _uvicorn("pais"), settings=_PAIS),
    Server("pais-granian", "this package on granian", (".", "granian"), _granian, settings=_PAIS),
    Server(
        FLOOR,
        "a bare ASGI application that relays the upstream's bytes: no agent, no memory",
        ("httpx2", "uvicorn"),
        _uvicorn("relay"),
    ),
    Server(
        FASTAPI,
        "FastAPI and `agent.run_stream_events`, one event for each delta; no memory",
        ("fastapi", "uvicorn", "pydantic-ai-slim[openai]"),
        _uvicorn("fastapi_reference"),
    ),
    Server(
        SEED,
        "`pais run` of pydantic-ai-server, with memory; it asks the model for the whole answer and sends that as one chunk",
        ("pydantic-ai-server[cli]",),
        _pais_run,
    ),
    Server(
        "pydantic-ai-web",
        "Pydantic AI's `Agent.to_web`, its UI adapter (Vercel AI data stream), streaming only; no memory",
        ("pydantic-ai-slim[openai,web]", "uvicorn"),
        _uvicorn("pydantic_ai_web"),
        VERCEL,
        "/api/configure",
    ),
    Server(
        "google-adk",
        "`adk api_server` with LiteLLM, its own events, sessions in the process",
        ("google-adk", "litellm"),
        _adk,
        ADK,
        # LiteLLM would fetch prices from the internet at each start.
        settings={"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        is_slow=True,
    ),
    Server(
        "agno",
        "AgentOS of Agno, its own events; no database",
        ("agno[os]", "openai"),
        _uvicorn("agno_os"),
        AGNO,
        settings={"AGNO_TELEMETRY": "false"},
    ),
)


@dataclass(frozen=True)
class Member:
    """A server whose packages are there."""

    server: Server
    environment: Environment

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.server.name

    @contextmanager
    def running(self, model_url: str, more: Mapping[str, str] | None = None) -> Iterator[Started]:
        """Run the server until the block ends, with more variables in its environment; raises `NotStarted`."""
        port = free_port()
        command = self.server.command(self.environment, port)
        settings = {
            **surroundings(model_url),
            **self.server.settings,
            **(more or {}),
            "AGENT_PORT": str(port),
        }
        with started(command, port, self.server.probe, settings) as process:
            yield process


def surroundings(model_url: str) -> dict[str, str]:
    """Return the environment variables of whatever is measured: this process's own, less what would change it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "OTEL_", "AGENT_", "MODEL_", "MEMORY_"))
        and not name.lower().endswith("_proxy")
    }
    ours = {"MODEL_API_URL": model_url, "MODEL_NAME": "scripted", "OPENAI_API_KEY": "none"}
    return {**kept, **ours, "AGENT_NAME": "benchmark", "LOG_LEVEL": "WARNING"}


@dataclass
class Field:
    """Those who take part, and who was left out for which reason."""

    members: list[Member]
    left_out: dict[str, str]

    @property
    def ours(self) -> Member | None:
        """A server of this package, whichever takes part."""
        return next((member for member in self.members if member.name in OURS), None)

    def leave_out(self, name: str, reason: str) -> None:
        """Go on without a server that could not be measured."""
        self.members = [member for member in self.members if member.name != name]
        self.left_out[name] = reason


@dataclass
class Suite:
    """What a measurement needs: the field, the model's address, how long to measure, and whom to tell."""

    field: Field
    model_url: str
    rounds: int
    quick: bool
    progress: Progress

    @contextmanager
    def running(self) -> Iterator["Running"]:
        """Run all servers side by side until the block ends; those that do not start are left out."""
        with ExitStack() as stack:
            running = Running(self)
            for member in list(self.field.members):
                self.progress.say(f"starting {member.name}")
                try:
                    running.servers[member.name] = (
                        member,
                        stack.enter_context(member.running(self.model_url)),
                    )
                except NotStarted as exc:
                    self.field.leave_out(member.name, str(exc))
            yield running


@dataclass
class Running:
    """Servers that answer, until one of them answers wrongly."""

    suite: Suite
    servers: dict[str, tuple[Member, Started]] = field(default_factory=dict)

    def turns(self, what: str) -> Iterator[tuple[str, Member, Started]]:
        """Go through all servers as often as there are rounds, and say where we are."""
        for round_number in range(self.suite.rounds):
            for name, (member, process) in list(self.servers.items()):
                self.suite.progress.say(f"{what}, round {round_number + 1} of {self.suite.rounds}: {name}")
                yield name, member, process

    def attempt(self, name: str, asking: Coroutine[None, None, T]) -> T | None:
        """Return what a coroutine returns, or None and leave the server out if it answers wrongly or not at all."""
        try:
            return asyncio.run(asking)
        except (WrongAnswer, OSError, EOFError) as exc:
            self.suite.field.leave_out(name, f"{type(exc).__name__}: {exc}")
            del self.servers[name]
            return None


def gather(names: Sequence[str], environments: Environments | None) -> Field:
    """Return the servers of these names with their environments; without `environments` this interpreter is used."""
    field_of = Field([], {})
    for server in SERVERS:
        if server.name not in names:
            continue
        try:
            environment = (
                environments.get(server.name, server.packages)
                if environments
                else this_environment(server.packages)
            )
        except NotInstalled as exc:
            field_of.left_out[server.name] = str(exc)
        else:
            field_of.members.append(Member(server, environment))
    return field_of


def this_environment(packages: Sequence[str]) -> Environment:
    """Return the environment that this process runs in; raises `NotInstalled` where one of the packages is missing."""
    there = {
        distribution.metadata["Name"].lower(): distribution.version
        for distribution in metadata.distributions()
    }
    for package in packages:
        name = package.partition("[")[0]
        if name != "." and name not in there:
            raise NotInstalled(f"{name} is not installed here")
    return Environment(Path(sys.executable), there)
