"""What is a call of A2A, and what is answered to what is none."""

from typing import Any

import pytest

from tests.api.a2a.rpc import call, error, make_server, message, old_message, result
from tests.support.asgi import ask

pytestmark = pytest.mark.anyio

GET = {"jsonrpc": "2.0", "id": 7, "method": "GetTask", "params": {"id": "x"}}


@pytest.mark.parametrize(
    ("body", "number", "call_id"),
    [
        (b'{"jsonrpc": "2.0", "method"', -32700, None),
        (b"\xff", -32700, None),
        ([GET], -32600, None),
        ([], -32600, None),
        ("GetTask", -32600, None),
        ({**GET, "jsonrpc": "1.0"}, -32600, 7),
        ({"id": 7, "method": "GetTask"}, -32600, 7),
        ({"jsonrpc": "2.0", "id": "a"}, -32600, "a"),
        ({**GET, "method": 3}, -32600, 7),
        ({**GET, "method": ""}, -32600, 7),
        ({**GET, "id": {"a": 1}}, -32600, None),
        ({**GET, "id": True}, -32600, None),
        ({**GET, "id": 1.5}, -32600, None),
        ({**GET, "method": "nothing/here"}, -32601, 7),
        ({**GET, "params": [1]}, -32602, 7),
        ({**GET, "params": None}, -32602, 7),
        ({**GET, "params": {}}, -32602, 7),
        ({**GET, "params": {"id": 3}}, -32602, 7),
        ({"jsonrpc": "2.0", "method": "GetTask", "params": {"id": "x"}}, -32001, None),
        ({**GET, "id": "seven"}, -32001, "seven"),
        ({**GET, "id": None}, -32001, None),
    ],
)
async def test_what_is_wrong_is_said_with_status_200_and_the_id(body: Any, number: int, call_id: Any) -> None:
    answer = await ask(make_server(), "POST", "/", body, {"content-type": "application/json"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    found = answer.json()
    assert (found["jsonrpc"], found["id"], found["error"]["code"]) == ("2.0", call_id, number)
    assert found.keys() == {"jsonrpc", "id", "error"}
    assert found["error"].keys() <= {"code", "message", "data"}


async def test_body_of_another_type_is_refused_before_it_is_read_as_json() -> None:
    answer = await ask(make_server(), "POST", "/", b"Hello.", {"content-type": "text/plain"})
    found = answer.json()["error"]
    assert (answer.status, found["code"], found["data"][0]["reason"]) == (
        200,
        -32005,
        "CONTENT_TYPE_NOT_SUPPORTED",
    )


async def test_body_that_is_too_large_is_refused_as_http_does() -> None:
    answer = await ask(make_server(max_request_bytes=2048), "POST", "/", b"{" + b" " * 3000 + b"}")
    assert answer.status == 413


async def test_errors_of_a2a_have_details_and_those_of_parameters_name_the_field() -> None:
    server = make_server()
    unknown = await error(server, "GetTask", id="x")
    assert unknown["data"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "TASK_NOT_FOUND",
            "domain": "a2a-protocol.org",
        }
    ]
    bad = await error(server, "SendMessage", message=message(role="ROLE_AGENT"))
    (details,) = bad["data"]
    assert details["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert details["fieldViolations"][0]["field"] == "message.role"


@pytest.mark.parametrize(
    ("version", "method", "number"),
    [
        (None, "SendMessage", None),
        ("", "SendMessage", None),
        ("1.0", "SendMessage", None),
        ("1.0.7", "SendMessage", None),
        ("1.0", "message/send", -32601),
        ("0.3", "SendMessage", -32601),
        ("0.3", "message/send", None),
        ("0.3.0", "message/send", None),
        (None, "message/send", None),
        ("99.0", "SendMessage", -32009),
        ("1", "SendMessage", -32009),
        ("one", "SendMessage", -32009),
        ("0.2", "message/send", -32009),
    ],
)
async def test_version_that_is_asked_for_is_spoken_or_refused(
    version: str | None, method: str, number: int | None
) -> None:
    sent = message() if method == "SendMessage" else old_message()
    answer = (await call(make_server(), method, version=version, message=sent)).json()
    assert answer.get("error", {}).get("code") == number
    if number is None:
        assert ("task" in answer["result"]) is (method == "SendMessage")
        assert ("kind" in answer["result"]) is (method == "message/send")


async def test_version_may_come_in_the_query() -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "x"}}
    answer = await ask(make_server(), "POST", "/", body, query="A2A-Version=9.9")
    assert answer.json()["error"]["code"] == -32009


@pytest.mark.parametrize(
    "method",
    [
        *(f"tasks/pushNotificationConfig/{verb}" for verb in ("set", "get", "list", "delete")),
        *(f"{verb}TaskPushNotificationConfig" for verb in ("Create", "Get", "Delete")),
        "ListTaskPushNotificationConfigs",
    ],
)
async def test_push_notifications_are_refused_before_any_task_is_looked_for(method: str) -> None:
    assert (await error(make_server(), method, taskId="x"))["code"] == -32003


async def test_send_that_wants_push_notifications_is_refused() -> None:
    server = make_server()
    configuration = {"taskPushNotificationConfig": {"url": "https://example.com"}}
    assert (await error(server, "SendMessage", message=message(), configuration=configuration))[
        "code"
    ] == -32003
    old = {"pushNotificationConfig": {"url": "https://example.com"}}
    assert (await error(server, "message/send", message=old_message(), configuration=old))["code"] == -32003


async def test_extended_card_is_for_those_with_a_key() -> None:
    open_server, server = make_server(), make_server(agent_api_keys="ada:k")
    assert (await error(open_server, "GetExtendedAgentCard"))["code"] == -32004
    assert (await error(open_server, "agent/getAuthenticatedExtendedCard"))["code"] == -32007
    assert (await result(server, "GetExtendedAgentCard", key="k"))["supportedInterfaces"]
    assert (await result(server, "agent/getAuthenticatedExtendedCard", key="k"))["protocolVersion"] == "0.3.0"


async def test_calls_need_a_key_and_cards_do_not() -> None:
    server = make_server(agent_api_keys="ada:k")
    refused = await call(server, "GetTask", id="x")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert (await call(server, "GetTask", id="x", key="k")).status == 200
    assert (await ask(server, "GET", "/")).status == 200
    assert (await ask(server, "GET", "/.well-known/agent-card.json")).status == 200
