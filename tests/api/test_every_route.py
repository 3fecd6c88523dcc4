"""Every method on every route, with what is valid, with one thing wrong, and with what another route takes.

The promise: a valid request is answered, a wrong one is refused with 4xx and says why, and nothing is ever a 500.
"""

import json
import logging
import re
from typing import Any
from urllib.parse import quote, urlencode

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pais_lite import AgentServer
from tests.support.asgi import Answer, exchange, make_scope
from tests.support.routes import DESCRIPTIONS, INTERNALS, Sent
from tests.support.serving import mock_server

KEY = "key-of-the-caller"
SECRET = "key-of-another"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
EXAMPLES = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ROUTES = pytest.mark.parametrize("route", DESCRIPTIONS)


@pytest.fixture(scope="module")
def server() -> AgentServer:
    # A run that stayed would keep its only place, and the next request would be refused.
    return mock_server(
        "hello",
        agent_name="described",
        agent_api_keys=f"me:{KEY},other:{SECRET}",
        max_concurrent_runs=1,
        max_request_bytes=200_000,
    )


def ask(server: AgentServer, method: str, path: str, sent: Sent, *, key: str | None = KEY) -> Answer:
    """Send a request, and hold the answer against what is promised of all of them."""
    raw = sent.body if isinstance(sent.body, bytes) else json.dumps(sent.body).encode()
    body = b"" if sent.body is None else raw
    headers = {"content-length": str(len(body)), **sent.headers}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    for name, value in sent.params.items():
        path = path.replace(f"{{{name}}}", value)

    async def talk() -> Answer:
        scope = {
            **make_scope(method, path, headers, query=urlencode(sent.query)),
            "raw_path": quote(path, safe="/").encode(),
        }
        async with exchange(server, scope) as exchanged:
            exchanged.send_body(body)
            with anyio.fail_after(20):
                await exchanged.ended.wait()
            return exchanged.answer

    answer = anyio.run(talk)
    assert 200 <= answer.status < 500, (answer.status, answer.body)
    for inner in (SECRET, *INTERNALS):
        assert inner.encode() not in answer.body
    if answer.status >= 400 and method != "HEAD":
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
    return answer


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Any:
    """Whatever clients send, the log has nothing to complain about."""
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_every_route_is_described(server: AgentServer) -> None:
    told = ask(server, "GET", "/", Sent()).json()["routes"]
    assert {*told, "GET /"} == set(DESCRIPTIONS)


@ROUTES
@EXAMPLES
@given(data=st.data())
def test_valid_requests_are_answered(server: AgentServer, route: str, data: st.DataObject) -> None:
    described = DESCRIPTIONS[route]
    method, _, path = route.partition(" ")
    sent = data.draw(described.valid)
    answer = ask(server, method, path, sent)
    assert answer.status in described.statuses, answer.body
    if method == "GET":
        headed = ask(server, "HEAD", path, sent)
        assert (headed.status, headed.body) == (answer.status, b"")


@pytest.mark.parametrize(
    "route", [route for route, described in DESCRIPTIONS.items() if described.wrong is not None]
)
@EXAMPLES
@given(data=st.data())
def test_requests_with_one_thing_wrong_are_refused(
    server: AgentServer, route: str, data: st.DataObject
) -> None:
    wrong = DESCRIPTIONS[route].wrong
    assert wrong is not None
    method, _, path = route.partition(" ")
    sent = data.draw(wrong)
    answer = ask(server, method, path, sent)
    assert answer.status in (400, 404, 413, 415), (answer.status, answer.body)


@ROUTES
@EXAMPLES
@given(data=st.data())
def test_any_method_with_what_any_route_takes(server: AgentServer, route: str, data: st.DataObject) -> None:
    other = DESCRIPTIONS[data.draw(st.sampled_from(sorted(DESCRIPTIONS)))]
    sent = data.draw(other.valid if other.wrong is None else other.valid | other.wrong)
    path = re.sub(r"\{.*?\}", "described", route.partition(" ")[2])
    method = data.draw(st.sampled_from(METHODS))
    answer = ask(server, method, path, sent)
    if answer.status == 405:
        allowed = answer.headers["allow"].split(", ")
        assert method not in allowed
        assert f"{route.partition(' ')[0]}" in allowed


@ROUTES
def test_key_is_asked_for_where_the_route_is_not_open(server: AgentServer, route: str) -> None:
    method, _, path = route.partition(" ")
    path = re.sub(r"\{.*?\}", "described", path)
    statuses = {ask(server, method, path, Sent(), key=key).status for key in (None, "wrong")}
    assert statuses == ({200} if DESCRIPTIONS[route].is_open else {401})
