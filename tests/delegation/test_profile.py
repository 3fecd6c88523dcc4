"""What cards and lists of models say of other agents."""

from typing import Any, Literal

import pytest

from pais_lite.agent import AgentCard
from pais_lite.agent.card import AgentSkill
from pais_lite.delegation.profile import (
    TASK_DELEGATION,
    A2AInterface,
    AgentProfile,
    find_places,
    maybe_profile,
    maybe_profile_of_models,
    reachable_url,
    same_origin,
)


@pytest.mark.parametrize(
    "url", ["http://h:1/p", "http://h:1/p/", "http://h:1/p/v1", "http://h:1/p/.well-known/agent.json"]
)
def test_agent_is_found_by_its_url_or_its_apis_or_its_cards(url: str) -> None:
    places = find_places(url)
    assert places.api == "http://h:1/p/v1"
    assert places.cards[-1] == "http://h:1/p/.well-known/agent.json"


def test_our_own_card_says_all_that_is_needed() -> None:
    skill = AgentSkill("look", "look", "Look  something\nup.")
    card = AgentCard(
        name="clerk",
        description="Files things.",
        url="http://h",
        version="1",
        skills=[skill],
        extensions=[TASK_DELEGATION],
    )
    versions: list[Literal["0.3", "1.0"]] = ["0.3", "1.0"]
    for version in versions:
        assert maybe_profile(card.to_dict(version)) == AgentProfile(
            model="clerk",
            description="Files things.\nIt can use:\n- look: Look something up.",
            calls_itself="clerk",
            takes_delegations=True,
            a2a=A2AInterface("http://h", version, streams=True),
        )


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"url": "http://h/x"}, None),
        ({"url": "http://h/x", "preferredTransport": "GRPC"}, None),
        ({"url": "http://h/x", "preferredTransport": "JSONRPC"}, ("http://h/x", "0.3")),
        (
            {
                "url": "http://h/g",
                "preferredTransport": "GRPC",
                "additionalInterfaces": [
                    None,
                    {"transport": "HTTP+JSON", "url": "http://h/r"},
                    {"transport": "JSONRPC", "url": "http://h/j"},
                ],
            },
            ("http://h/j", "0.3"),
        ),
        (
            {
                "supportedInterfaces": [
                    {"protocolBinding": "GRPC", "url": "http://h/g", "protocolVersion": "1.0"},
                    {"protocolBinding": "JSONRPC", "url": "http://h/old", "protocolVersion": "0.3"},
                    {"protocolBinding": "JSONRPC", "url": "http://h/new", "protocolVersion": "1.0"},
                ]
            },
            ("http://h/new", "1.0"),
        ),
        ({"supportedInterfaces": [{"protocolBinding": "JSONRPC", "url": "file:///etc"}]}, None),
        ({"supportedInterfaces": {"protocolBinding": "JSONRPC"}}, None),
        (
            {
                "supportedInterfaces": [
                    {"protocolBinding": "JSONRPC", "url": "http://[h/j", "protocolVersion": "1.0"},
                    {"protocolBinding": "JSONRPC", "url": "http://h:65536/j", "protocolVersion": "1.0"},
                    {"protocolBinding": "JSONRPC", "url": "http://h/j", "protocolVersion": "1.0"},
                ]
            },
            ("http://h/j", "1.0"),
        ),
    ],
)
def test_where_a_card_says_that_json_rpc_is(fields: dict[str, Any], found: tuple[str, Any] | None) -> None:
    profile = maybe_profile({"name": "x", "description": "y", **fields})
    assert profile is not None
    if found is None:
        assert profile.a2a is None
    else:
        url, version = found
        assert profile.a2a == A2AInterface(url, version, streams=False)


def test_card_that_names_its_own_machine_is_at_the_place_where_it_was_found() -> None:
    card = "http://agents.example:8000/a/.well-known/agent-card.json"
    assert reachable_url("http://localhost:9999/rpc?x=1", card) == "http://agents.example:8000/rpc?x=1"
    assert reachable_url("http://0.0.0.0/", card) == "http://agents.example:8000/"
    assert reachable_url("https://api.example/rpc", card) == "https://api.example/rpc"
    assert same_origin("http://h/a", "http://h:80/b")
    assert not same_origin("http://h/a", "https://h/a")
    assert not same_origin("http://h/a", "http://h.other/a")


@pytest.mark.parametrize("card", [None, [], "card", {}, {"name": "x"}, {"name": "", "description": "y"}])
def test_what_is_no_card_is_none(card: Any) -> None:
    assert maybe_profile(card) is None


@pytest.mark.parametrize(
    "extra", [{}, {"capabilities": None, "skills": {}}, {"capabilities": {"extensions": [1, {"uri": "u"}]}}]
)
def test_card_of_another_kind_of_agent_takes_no_delegations(extra: dict[str, Any]) -> None:
    profile = maybe_profile({"name": "x", "description": "y", **extra})
    assert profile == AgentProfile(model="x", description="y", calls_itself="x")


def test_cards_that_talk_too_much_are_cut_short() -> None:
    skills = [{"name": "s" * 1000, "description": "d" * 1000}] * 1000
    profile = maybe_profile({"name": "x", "description": "y" * 100_000, "skills": skills})
    assert profile is not None
    assert len(profile.description) < 10_000


def test_server_of_several_models_is_asked_for_the_one_of_that_name_or_the_first() -> None:
    models = {"object": "list", "data": [{"id": "m1"}, {"id": "m2"}, {"id": 3}, None]}
    assert maybe_profile_of_models(models, "m2") == AgentProfile(model="m2", description="")
    assert maybe_profile_of_models(models, "other") == AgentProfile(model="m1", description="")
    assert maybe_profile_of_models({"data": []}, "x") is None
    assert maybe_profile_of_models(None, "x") is None
