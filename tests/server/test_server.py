"""What needs a key, and what is said of a method that a path does not have."""

import pytest

from pais_lite import AgentServer
from tests.support.asgi import Answer, ask
from tests.support.serving import mock_agents, mock_server

pytestmark = pytest.mark.anyio

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
CARDS = ["/.well-known/agent.json", "/.well-known/agent-card.json"]
OPEN = ["/health", "/ready", *CARDS]
CLOSED = ["/tools", "/v1/models", "/v1/models/mock", "/v1/chat/completions", "/memory/sessions/s", "/nowhere"]
KEY = {"authorization": "Bearer key"}


@pytest.fixture
def locked() -> AgentServer:
    return mock_server("hello", agent_api_keys="key")


def said(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.headers.get("allow")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", OPEN)
async def test_an_open_path_answers_every_method_as_if_there_were_no_keys(
    locked: AgentServer, method: str, path: str
) -> None:
    expected = (200, None) if method in ("GET", "HEAD") else (405, "GET, HEAD")
    assert said(await ask(mock_server("hello"), method, path)) == expected
    assert said(await ask(locked, method, path)) == expected
    assert said(await ask(locked, method, path, headers=KEY)) == expected


@pytest.mark.parametrize("path", [*OPEN, "/"])
async def test_open_paths_of_one_of_several_agents_are_open_as_well(path: str) -> None:
    server = mock_agents({"researcher": ["Found it."], "writer": ["Written."]}, agent_api_keys="key")
    below = f"/agents/writer{path}"
    assert (await ask(server, "GET", below)).status == 200
    assert said(await ask(server, "PUT", below)) == (405, "GET, HEAD, POST" if path == "/" else "GET, HEAD")
    assert (await ask(server, "POST", below)).status == (401 if path == "/" else 405)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", CLOSED)
async def test_a_closed_path_says_nothing_to_those_without_a_key(
    locked: AgentServer, method: str, path: str
) -> None:
    answer = await ask(locked, method, path)
    assert said(answer) == (401, None)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_tasks_at_the_path_of_the_index_need_a_key(locked: AgentServer) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x"}}
    assert (await ask(locked, "GET", "/")).status == 200
    assert said(await ask(locked, "PUT", "/")) == (405, "GET, HEAD, POST")
    assert (await ask(locked, "POST", "/", call)).status == 401
    assert (await ask(locked, "POST", "/", call, KEY)).status == 200
