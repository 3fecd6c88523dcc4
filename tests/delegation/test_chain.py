"""The chain of agents that a task came through."""

import pytest

from pais_lite.delegation.chain import check_chain, read_chain, write_chain
from pais_lite.errors import DelegationRefused, InvalidRequest
from tests.support.asgi import ask, chat
from tests.support.serving import mock_server


@pytest.mark.parametrize(
    ("header", "chain"),
    [(None, ()), ("", ()), ("a", ("a",)), ("a,b", ("a", "b")), (" a , b-c.d_e ,", ("a", "b-c.d_e"))],
)
def test_header_is_read_in_its_order(header: str | None, chain: tuple[str, ...]) -> None:
    assert read_chain(header) == chain


def test_what_is_written_is_read_again() -> None:
    assert read_chain(write_chain(("a", "b", "c"))) == ("a", "b", "c")


@pytest.mark.parametrize("header", ["a b", "a;b", "é", "-a", "x" * 65, "a," * 10_000])
def test_header_that_holds_no_names_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_chain(header)
    assert caught.value.param == "x-delegation-chain"


def test_agent_in_the_chain_is_refused_and_so_is_one_link_too_many() -> None:
    check_chain(("a", "b"), "c", 2)
    with pytest.raises(DelegationRefused, match="handed this task on itself"):
        check_chain(("a", "b"), "a", 5)
    with pytest.raises(DelegationRefused, match="more than 2 times"):
        check_chain(("a", "b", "c"), "d", 2)


def test_agents_without_a_name_are_not_taken_for_one() -> None:
    check_chain(("agent",), "agent", 5)
    with pytest.raises(DelegationRefused):
        check_chain(("agent",) * 6, "agent", 5)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("chain", "code"),
    [("x,mock", "delegation_refused"), ("a,b,c,d,e,f", "delegation_refused"), ("a b", None)],
)
async def test_callee_refuses_such_a_chain_before_anything_is_remembered(
    chain: str, code: str | None
) -> None:
    server = mock_server("hi", agent_name="mock")
    answer = await ask(server, "POST", "/v1/chat/completions", chat(), {"x-delegation-chain": chain})
    assert (answer.status, answer.json()["error"]["code"]) == (400, code)
    assert (await ask(server, "GET", "/memory/events")).json()["events"] == []


@pytest.mark.anyio
async def test_chain_that_is_long_but_allowed_is_taken() -> None:
    server = mock_server("hi", agent_name="mock")
    answer = await ask(server, "POST", "/v1/chat/completions", chat(), {"x-delegation-chain": "a,b,c,d,e"})
    assert answer.status == 200
