"""Several agents behind one door: which of them answers, and what belongs to each."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import AgentServer, LocalMemory, serve
from pais_lite.errors import ConfigurationError, MemoryUnavailable
from tests.support.asgi import Answer, ask, chat, exchange, make_scope
from tests.support.serving import mock_agents
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


@pytest.fixture
async def server() -> AsyncIterator[AgentServer]:
    server = mock_agents({"researcher": ["Found it."], "writer": ["Written."]})
    async with server.lifespan():
        yield server


def text(answer: Answer) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


@pytest.mark.parametrize(("model", "says"), [("researcher", "Found it."), ("writer", "Written.")])
@pytest.mark.parametrize("base", ["", "/agents/{}"])
async def test_the_model_picks_the_agent(server: AgentServer, model: str, says: str, base: str) -> None:
    answer = await ask(server, "POST", base.format(model) + CHAT, {**chat(), "model": model})
    assert (answer.status, text(answer), answer.json()["model"]) == (200, says, model)
    stream = await ask(server, "POST", base.format(model) + CHAT, {**chat(stream=True), "model": model})
    assert stream.text() == says


@pytest.mark.parametrize("path", [CHAT, f"/agents/writer{CHAT}"])
async def test_a_model_that_is_no_agent_is_404_everywhere(server: AgentServer, path: str) -> None:
    answer = await ask(server, "POST", path, {**chat(), "model": "gpt-4o"})
    assert answer.status == 404
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "writer" in error["message"]
    assert (await ask(server, "GET", "/v1/models/gpt-4o")).status == 404


async def test_another_agent_is_not_reached_below_the_path_of_one(server: AgentServer) -> None:
    answer = await ask(server, "POST", f"/agents/writer{CHAT}", {**chat(), "model": "researcher"})
    assert answer.status == 404


@pytest.mark.parametrize("model", [None, "", 3, ["writer"]])
async def test_a_model_that_is_missing_or_no_text_is_named(server: AgentServer, model: Any) -> None:
    answer = await ask(server, "POST", CHAT, {**chat(), "model": model})
    assert (answer.status, answer.json()["error"]["param"]) == (400, "model")


async def test_below_its_own_path_an_agent_needs_no_model(server: AgentServer) -> None:
    answer = await ask(server, "POST", f"/agents/writer{CHAT}", {"messages": chat()["messages"]})
    assert (answer.status, text(answer)) == (200, "Written.")


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff"])
async def test_what_is_no_chat_request_is_400(server: AgentServer, body: bytes) -> None:
    answer = await ask(server, "POST", CHAT, body, {"content-type": "application/json"})
    assert (answer.status, answer.json()["error"]["code"]) == (400, "invalid_json")


async def test_all_are_listed_as_models(server: AgentServer) -> None:
    listed = (await ask(server, "GET", "/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["researcher", "writer"]
    assert (await ask(server, "GET", "/v1/models/writer")).json()["id"] == "writer"
    own = (await ask(server, "GET", "/agents/writer/v1/models")).json()
    assert [model["id"] for model in own["data"]] == ["writer"]
    assert (await ask(server, "GET", "/agents/writer/v1/models/researcher")).status == 404


async def test_each_has_a_card_that_says_where_it_is_alone(server: AgentServer) -> None:
    for name in ("researcher", "writer"):
        for card_name in ("agent-card.json", "agent.json"):
            card = (
                await ask(server, "GET", f"/agents/{name}/.well-known/{card_name}", root_path="/x")
            ).json()
            assert card["name"] == name
            assert card["description"] == f"The {name} here."
            assert card["url"] == f"http://testserver:80/x/agents/{name}"
    first = (await ask(server, "GET", "/.well-known/agent-card.json")).json()
    assert (first["name"], first["url"]) == ("researcher", "http://testserver:80/agents/researcher")


async def test_what_each_remembers_is_its_own(server: AgentServer) -> None:
    for model in ("researcher", "writer"):
        body = {**chat(f"hello {model}"), "model": model}
        await ask(server, "POST", CHAT, body, {"x-session-id": "s"})
    for name in ("researcher", "writer"):
        for path in (f"/agents/{name}/memory/events", "/memory/events"):
            query = "session_id=s" if name in path else f"session_id=s&agent={name}"
            found = (await ask(server, "GET", path, query=query)).json()
            assert found["agent"] == name
            assert found["events"][0]["content"] == f"hello {name}"
            assert found["total"] == 2
    gone = await ask(server, "DELETE", "/memory/sessions/s", query="agent=writer")
    assert gone.status == 200
    assert (await ask(server, "GET", "/memory/sessions", query="agent=writer")).json()["sessions"] == []
    assert len((await ask(server, "GET", "/agents/researcher/memory/sessions")).json()["sessions"]) == 1


@pytest.mark.parametrize("path", ["/tools", "/memory/sessions", "/memory/events"])
async def test_who_is_meant_has_to_be_said(server: AgentServer, path: str) -> None:
    missing = await ask(server, "GET", path)
    assert (missing.status, missing.json()["error"]["param"]) == (400, "agent")
    assert (await ask(server, "GET", path, query="agent=nobody")).status == 404
    assert (await ask(server, "GET", path, query="agent=writer")).json()["agent"] == "writer"
    assert (await ask(server, "GET", f"/agents/writer{path}")).json()["agent"] == "writer"
    assert (await ask(server, "GET", f"/agents/nobody{path}")).status == 404


async def test_the_index_names_all_and_each_has_its_own(server: AgentServer) -> None:
    index = (await ask(server, "GET", "/")).json()
    assert index["agents"] == ["researcher", "writer"]
    assert "POST /v1/chat/completions" in index["routes"]
    for path in ("/agents/writer", "/agents/writer/"):
        own = (await ask(server, "GET", path)).json()
        assert own["name"] == "writer"
        assert "POST /agents/writer/v1/chat/completions" in own["routes"]


class Away(LocalMemory):
    async def check(self) -> None:
        raise MemoryUnavailable("away")


async def test_ready_is_when_all_are() -> None:
    agents = {"researcher": PydanticAgent("test"), "writer": PydanticAgent("test")}
    server = serve(agents, memory={"writer": Away()})
    async with server.lifespan():
        ready = await ask(server, "GET", "/ready")
        assert ready.status == 503
        assert ready.json()["checks"] == {
            "memory:researcher": "ok",
            "memory:writer": "unreachable",
            "server": "ok",
        }
        assert (await ask(server, "GET", "/agents/researcher/ready")).status == 200
        assert (await ask(server, "GET", "/agents/writer/ready")).status == 503
        assert (await ask(server, "GET", "/health")).json()["agents"] == ["researcher", "writer"]
    assert (await ask(server, "GET", "/agents/researcher/ready")).json()["checks"]["server"] == "draining"


async def test_one_key_opens_all_and_each_owner_sees_his_own() -> None:
    server = mock_agents({"a": ["A"], "b": ["B"]}, agent_api_keys="ann:one,bob:two")
    async with server.lifespan():
        for path in (
            "/agents/b/.well-known/agent-card.json",
            "/agents/b/ready",
            "/agents/b",
            "/agents/b/health",
        ):
            assert (await ask(server, "GET", path)).status == 200
        for path in ("/agents/b/tools", "/v1/models", "/agents/nobody"):
            assert (await ask(server, "GET", path)).status == 401
        for key in ("one", "two"):
            headers = {"authorization": f"Bearer {key}", "x-session-id": "s"}
            answer = await ask(server, "POST", CHAT, {**chat(f"I am {key}"), "model": "b"}, headers)
            assert answer.status == 200
        found = await ask(server, "GET", "/agents/b/memory/events", headers={"authorization": "Bearer two"})
        assert [event["content"] for event in found.json()["events"]] == ["I am two", "B"]


async def test_places_and_drain_are_the_servers_and_not_each_agents() -> None:
    release = asyncio.Event()

    async def wait(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await release.wait()
        return ModelResponse(parts=[TextPart("A")])

    agents = {"a": PydanticAgent(FunctionModel(wait)), "b": PydanticAgent("test")}
    server = serve(agents, max_concurrent_runs=1)
    async with server.lifespan(), exchange(server, make_scope("POST", CHAT)) as busy:
        busy.send_body(json.dumps({**chat(), "model": "a"}).encode())
        await until_found(server, "/agents/a/memory/sessions")
        assert (await ask(server, "POST", CHAT, {**chat(), "model": "b"})).status == 429
        release.set()
        with anyio.fail_after(10):
            await busy.ended.wait()
        assert busy.answer.status == 200
        await server.drain()
        for model in ("a", "b"):
            assert (await ask(server, "POST", CHAT, {**chat(), "model": model})).status == 503


async def until_found(server: AgentServer, path: str) -> None:
    async def found() -> bool:
        return bool((await ask(server, "GET", path)).json()["sessions"])

    await until(found)


async def test_settings_may_be_one_agents_own() -> None:
    environ = {"B__AGENTIC_LOOP_MAX_STEPS": "1", "AGENTIC_LOOP_MAX_STEPS": "3"}
    again = {"tool_calls": [{"name": "no_such_tool", "arguments": {}}]}
    server = mock_agents({"a": [again, "A"], "b": [again, "B"]}, environ)
    async with server.lifespan():
        assert (await ask(server, "POST", CHAT, {**chat(), "model": "a"})).status == 200
        limited = await ask(server, "POST", CHAT, {**chat(), "model": "b"})
        assert limited.json()["error"]["code"] == "max_steps_exceeded"


async def test_a_mapping_of_one_is_one_agent_of_that_name() -> None:
    server = mock_agents({"only": ["Here."]})
    async with server.lifespan():
        answer = await ask(server, "POST", CHAT, {**chat(), "model": "anything"})
        assert (text(answer), answer.json()["model"]) == ("Here.", "anything")
        assert (await ask(server, "GET", "/ready")).json()["name"] == "only"
        assert (await ask(server, "GET", "/tools")).status == 200
        assert (await ask(server, "GET", "/agents/only/tools")).status == 404


ONE: dict[str, PydanticAgent[Any, Any]] = {"a": PydanticAgent("test"), "b": PydanticAgent("test")}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"agent_name": "x"}, "AGENT_NAME: 'x' cannot be the name of several agents; theirs are a, b"),
        ({"memory": LocalMemory()}, "memory: with several agents this has to be a mapping from their names"),
        ({"sub_agents": {"c": ["a"]}}, "sub_agents: there is no agent 'c'; there are a, b"),
        ({"sub_agents": {"a": ["c"]}}, "sub-agents: there is no agent 'c' in this process"),
        ({"mcp_servers": ["http://x"]}, "mcp_servers: with several agents"),
        ({"a__agent_port": 1}, "there is no setting 'a__agent_port'"),
        ({"c__model_name": "m"}, "there is no setting 'c__model_name'"),
        ({"peer_agents": "c"}, "'c' needs PEER_AGENT_C_CARD_URL"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        serve(ONE, **arguments)


@pytest.mark.parametrize("name", ["", "a b", "ä", "-a", "a/b"])
def test_a_name_has_to_fit_paths_and_keys(name: str) -> None:
    with pytest.raises(ConfigurationError, match="agent_name"):
        serve({name: PydanticAgent("test"), "b": PydanticAgent("test")})


def test_there_has_to_be_an_agent() -> None:
    with pytest.raises(ConfigurationError, match="there is no agent to serve"):
        serve({})


def test_agent_name_of_the_environment_is_no_name_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_NAME", "solo")
    with pytest.raises(ConfigurationError, match="AGENT_NAME: 'solo' cannot be the name of several agents"):
        serve(ONE)
