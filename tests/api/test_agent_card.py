"""The agent card, as those who look for agents read it."""

from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent as PydanticAgent

from pais_lite import RemoteAgent
from tests.support.asgi import Answer, ask
from tests.support.serving import mock_server

pytestmark = pytest.mark.anyio

PATHS = ["/.well-known/agent-card.json", "/.well-known/agent.json"]


def clerk() -> PydanticAgent[Any, Any]:
    agent = PydanticAgent(name="clerk")

    @agent.tool_plain
    def look(word: str) -> str:
        """Look a word up."""
        return word

    return agent


async def card(
    server: Any, path: str = PATHS[0], headers: dict[str, str] | None = None, **scope: str
) -> Answer:
    return await ask(server, "GET", path, headers={"host": "agents.example", **(headers or {})}, **scope)


@pytest.mark.parametrize(
    ("path", "version"), [(PATHS[0], "1.0"), (PATHS[0], "0.3"), (PATHS[1], "1.0"), (PATHS[1], "0.3")]
)
async def test_card_says_who_where_and_what(path: str, version: str) -> None:
    server = mock_server("x", agent=clerk(), agent_description="Files things.", a2a_card_version=version)
    answer = (await card(server, path)).json()
    assert (answer["name"], answer["description"]) == ("clerk", "Files things.")
    if version == "1.0" and path == PATHS[0]:
        # Readers of 1.0 refuse what they do not know.
        assert not answer.keys() & {"url", "protocolVersion", "preferredTransport", "additionalInterfaces"}
        assert answer["supportedInterfaces"] == [
            {"url": "http://agents.example", "protocolBinding": "JSONRPC", "protocolVersion": spoken}
            for spoken in ("1.0", "0.3")
        ]
    else:
        assert (answer["protocolVersion"], answer["url"]) == ("0.3.0", "http://agents.example")
        assert answer["preferredTransport"] == "JSONRPC"
        assert "supportedInterfaces" not in answer
    assert [(skill["id"], skill["description"]) for skill in answer["skills"]] == [
        ("look", "Look a word up.")
    ]
    assert answer["capabilities"]["streaming"] is True
    assert answer["capabilities"]["pushNotifications"] is False
    assert answer["capabilities"]["extensions"] == [
        {"uri": uri, "required": False} for uri in ("urn:pais:task-delegation", "urn:pais:progress")
    ]
    assert answer["version"]


async def test_card_without_tools_names_the_agent_as_its_skill() -> None:
    answer = (await card(mock_server("x", agent_description="Files things."))).json()
    assert [(skill["id"], skill["description"]) for skill in answer["skills"]] == [("mock", "Files things.")]


async def test_cards_say_that_a_key_is_needed_where_one_is() -> None:
    server = mock_server("x", agent_api_keys="k")
    new, old = (await card(server)).json(), (await card(server, PATHS[1])).json()
    assert new["securitySchemes"] == {"bearer": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}}
    assert new["securityRequirements"] == [{"schemes": {"bearer": {"list": []}}}]
    assert new["capabilities"]["extendedAgentCard"] is True
    assert old["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    assert (old["security"], old["supportsAuthenticatedExtendedCard"]) == ([{"bearer": []}], True)
    for path in PATHS:
        assert "security" not in (await card(mock_server("x"), path)).body.decode()


async def test_url_has_the_prefix_under_which_the_agent_is_mounted_unless_it_is_set() -> None:
    old = PATHS[1]
    mounted = await card(mock_server("x"), old, root_path="/clerk")
    # With a slash: without it, hosts answer with a redirect.
    assert mounted.json()["url"] == "http://agents.example/clerk/"
    server = mock_server("x", agent_public_url="https://public.example/c")
    assert (await card(server, old, root_path="/clerk")).json()["url"] == "https://public.example/c/"
    server = mock_server("x", agent_public_url="https://public.example/")
    assert (await card(server, old, root_path="/clerk")).json()["url"] == "https://public.example"


async def test_card_that_has_not_changed_is_not_sent_again() -> None:
    server = mock_server("x", agent=clerk())
    first = await card(server)
    assert "max-age=" in first.headers["cache-control"]
    assert parsedate_to_datetime(first.headers["last-modified"]).year > 2000
    for known in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
        again = await card(server, headers={"if-none-match": known})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert again.headers["last-modified"] == first.headers["last-modified"]
    since = first.headers["last-modified"]
    for unknown in ({"if-none-match": '"x"'}, {"if-modified-since": since}):
        other = await card(server, headers=unknown)
        assert (other.status, other.body) == (200, first.body)
    assert (await card(server, root_path="/p")).headers["etag"] != first.headers["etag"]


async def test_card_waits_neither_for_dead_servers_nor_for_dead_agents() -> None:
    # Port 9 of an address that nobody has: packets to it go nowhere.
    nowhere = "http://192.0.2.1:9"
    server = mock_server(
        "x", agent=clerk(), sub_agents=[RemoteAgent("gone", nowhere)], mcp_servers=[f"{nowhere}/mcp"]
    )
    with anyio.fail_after(3):
        answer = await card(server)
        assert [skill["id"] for skill in answer.json()["skills"]] == ["look"]
    await server.agent.close()
