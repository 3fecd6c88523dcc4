"""Every ASGI server that the package promises to run under, as a real process, in front of a scripted model."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from tests.support.clients import http_client, is_up
from tests.support.endpoint import ModelCall, model_endpoint
from tests.support.ports import free_port
from tests.support.processes import Process, running
from tests.support.sockets import until

_APP = "tests.servers.app:app"
_COMMANDS = {
    "hypercorn": (["hypercorn", "--bind", "127.0.0.1:0", _APP], r"Running on (http://\S+)"),
    "uvicorn": (["uvicorn", "--port", "0", _APP], r"running on (http://\S+)"),
    "granian": (
        ["granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}", _APP],
        r"Listening at: (http://\S+)",
    ),
}


@dataclass
class Model:
    """The scripted model: what the user says is what it does."""

    url: str = ""
    begun: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)

    async def answer(self, call: ModelCall) -> None:
        """Do what the last message says; remember who came and who left."""
        said = call.body["messages"][-1]["content"]
        self.begun.add(said)
        match said.split(" ")[0]:
            case "silence":
                await call.closed()
                self.left.add(said)
            case "forever":
                await call.start_stream()
                try:
                    while not call.reader.at_eof():
                        await call.text("tick ")
                        await anyio.sleep(0.02)
                finally:
                    self.left.add(said)
            case "slowly":
                await anyio.sleep(0.3)
                await call.complete("one two three")
            case _:
                await call.complete(f"You said {said}")


@dataclass
class Served:
    """A server process, and the protocol to speak to it."""

    kind: str
    http2: bool
    process: Process
    url: str
    model: Model


@pytest.fixture(scope="session")
def model() -> Iterator[Model]:
    model = Model()
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(model_endpoint(model.answer)) as endpoint,
    ):
        model.url = endpoint.url
        yield model


@pytest.fixture(scope="session")
def processes(model: Model) -> Iterator[dict[str, Process]]:
    """Processes by kind, started when first asked for and ended with the session."""
    with ExitStack() as stack:

        class Processes(dict[str, Process]):
            def __missing__(self, kind: str) -> Process:
                command, ready = _COMMANDS[kind]
                environment = {"MODEL_API_URL": model.url, "MODEL_NAME": "scripted"}
                process = stack.enter_context(
                    running(
                        [sys.executable, "-m", *(part.format(port=free_port()) for part in command)],
                        ready=ready,
                        env=environment,
                        cwd=Path(__file__).parents[2],
                    )
                )
                self[kind] = process
                return process

        yield Processes()


# What is about one version of the protocol runs where that is spoken.
OVER_HTTP1 = pytest.mark.parametrize("served", ["hypercorn", "uvicorn", "granian"], indirect=True)
OVER_HTTP2 = pytest.mark.parametrize("served", ["hypercorn-http2", "granian-http2"], indirect=True)


@pytest.fixture(params=["hypercorn", "hypercorn-http2", "uvicorn", "granian", "granian-http2"])
async def served(
    request: pytest.FixtureRequest, processes: dict[str, Process], model: Model
) -> AsyncIterator[Served]:
    """A server that answers; afterwards it still does, and has nothing bad to say."""
    kind, _, protocol = request.param.partition("-")
    process = processes[kind]
    served = Served(kind, protocol == "http2", process, process.url, model)
    await until(lambda: is_up(f"{process.url}/health"), timeout=60)
    yield served
    assert await is_up(f"{process.url}/health")
    # What granian notes when a client leaves while it is being sent something.
    written = process.output().replace('[INFO] ASGI transport error: "Closed(..)"', "")
    assert "Traceback" not in written, written
    assert "rror" not in written, written


@pytest.fixture
async def client(served: Served) -> AsyncIterator[httpx2.AsyncClient]:
    async with new_client(served) as client:
        yield client


def new_client(served: Served) -> httpx2.AsyncClient:
    """Return a client with connections of its own."""
    return http_client(served.url, timeout=20, http1=not served.http2, http2=served.http2)
