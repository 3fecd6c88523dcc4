"""One `pais run` in front of one scripted model endpoint, for all the clients."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from openai import OpenAI

from tests.conformance.node_reports import Ask, Report, installed, report_of
from tests.conformance.repertoire import bake, perform
from tests.support.endpoint import Endpoint, endpoint_in_thread
from tests.support.processes import UNSET, Process, pais_run

CLERK = str(Path(__file__).parent / "agents" / "clerk.py")


@pytest.fixture(scope="session")
def played() -> Iterator[Endpoint]:
    """The model endpoint, for as long as there are tests."""
    with endpoint_in_thread(perform) as endpoint:
        yield endpoint


@pytest.fixture
def model(played: Endpoint) -> Endpoint:
    """The model endpoint behind the servers, with the calls of this test alone."""
    played.calls.clear()
    played.script = perform
    return played


@pytest.fixture(scope="session")
def baker() -> Iterator[Endpoint]:
    """Another agent, which the clerk may ask."""
    with endpoint_in_thread(bake) as endpoint:
        yield endpoint


def clerk(played: Endpoint, folder: Path, **env: str) -> AbstractContextManager[Process]:
    """Start `pais run` with the clerk, in front of the model endpoint."""
    return pais_run(
        CLERK, env={**UNSET, "MODEL_API_URL": played.url, "MODEL_NAME": "scripted", **env}, cwd=folder
    )


@pytest.fixture(scope="session")
def server(played: Endpoint, baker: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The clerk, who knows the baker."""
    folder = tmp_path_factory.mktemp("server")
    with clerk(played, folder, AGENT_SUB_AGENTS=f"baker:{baker.url}") as process:
        yield process


@pytest.fixture(scope="session")
def guarded_server(played: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The clerk, for those who have a key, one at a time."""
    folder = tmp_path_factory.mktemp("guarded")
    with clerk(played, folder, AGENT_API_KEYS="ada:key-of-ada", MAX_CONCURRENT_RUNS="1") as process:
        yield process


@pytest.fixture(scope="session")
def fidgety_server(played: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The clerk, sending keepalives as soon as a model is silent for a moment."""
    with clerk(played, tmp_path_factory.mktemp("fidgety"), SSE_KEEPALIVE_SECONDS="0.05") as process:
        yield process


@pytest.fixture
def base_url(server: Process, model: Endpoint) -> str:
    """Where a client of the OpenAI API finds the clerk."""
    return f"{server.url}/v1"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Node project with its dependencies installed, exactly as they are locked."""
    return installed(tmp_path_factory.mktemp("node") / "project")


@pytest.fixture(scope="session")
def ask(project: Path, played: Endpoint) -> Ask:
    """Puts questions to a client from npm."""

    def ask(client: str, server: Process, *questions: str) -> Report:
        played.script = perform
        return report_of(project, client, server.url, *questions, calls=played.calls)

    return ask


@pytest.fixture
def client(base_url: str) -> Iterator[OpenAI]:
    """The official client as everybody has it: one that sends what failed twice more."""
    with OpenAI(base_url=base_url, api_key="none", timeout=60) as opened:
        yield opened
