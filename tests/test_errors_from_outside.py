"""Every row of the table of errors, seen from outside, with `/health` still answering after each."""

import logging
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent

from pais_lite import AgentServer, LocalMemory, MemoryEvent, serve
from pais_lite.errors import MemoryUnavailable
from tests.support.asgi import Answer, ask, chat, exchange, make_scope
from tests.support.endpoint import ModelCall, model_endpoint
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
SECRET = "sk-live-secret-0123456789"


@pytest.fixture
def agent() -> Agent[None, str]:
    agent = Agent("test", name="tested")

    @agent.tool_plain
    def explode() -> str:
        raise RuntimeError(f"could not log in with {SECRET}")

    @agent.tool_plain
    def fine() -> str:
        return "fine"

    return agent


async def silent(call: ModelCall) -> None:
    """Say nothing for as long as anybody listens."""
    await call.closed()


async def ask_and_check_health(server: AgentServer, *request: Any, **fields: Any) -> Answer:
    answer = await ask(server, *request, **fields)
    health = await ask(server, "GET", "/health")
    assert (health.status, health.json()["status"]) == (200, "healthy")
    for told in (answer.body.decode(), str(answer.headers)):
        assert SECRET not in told
        assert "Traceback" not in told
    return answer


def error_of(answer: Answer) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


def calls(*tools: str) -> dict[str, Any]:
    return {"tool_calls": [{"name": name, "arguments": {}} for name in tools]}


U = {"role": "user", "content": "hi"}
CALLING = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b"{", None, "invalid_json"),
        (b"", None, "invalid_json"),
        (b'{"messages": "\xff"}', None, "invalid_json"),
        (b"[" * 200_000, None, "invalid_json"),
        ([1], None, "invalid_json"),
        ({}, "messages", "missing_messages"),
        ({"messages": None}, "messages", "missing_messages"),
        ({"messages": []}, "messages", "invalid_messages"),
        ({"messages": "hi"}, "messages", "invalid_messages"),
        ({"messages": {"role": "user"}}, "messages", "invalid_messages"),
        ({"messages": ["hi"]}, "messages", "invalid_messages"),
        ({"messages": [{"content": "hi"}]}, "messages", "invalid_messages"),
        ({"messages": [{"role": [], "content": "hi"}]}, "messages", "invalid_messages"),
        ({"messages": [{"role": {}, "content": "hi"}]}, "messages", "invalid_messages"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages", "invalid_messages"),
        ({"messages": [{"role": "user"}]}, "messages", "invalid_messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages", "invalid_messages"),
        ({"messages": [{"role": "user", "content": []}]}, "messages", "invalid_messages"),
        ({"messages": [{"role": "system", "content": "be kind"}]}, "messages", "invalid_messages"),
        ({"messages": [U, {"role": "assistant", "content": "hello"}]}, "messages", "invalid_messages"),
        ({"messages": [U, CALLING, U]}, "messages", "invalid_messages"),
        (
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": "r"}, U]},
            "messages",
            "invalid_messages",
        ),
        (chat(n=2), "n", None),
        (chat(temperature="hot"), "temperature", None),
        (chat(temperature=10**400), "temperature", None),
        (chat(stream="yes"), "stream", None),
        (chat(model=7), "model", None),
        (chat(session_id="no spaces"), "session_id", "invalid_session_id"),
        (chat(session_id=""), "session_id", "invalid_session_id"),
        (chat(session_id="x" * 129), "session_id", "invalid_session_id"),
        (chat(session_id=["x"]), "session_id", "invalid_session_id"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_400(agent: Agent[None, str], body: Any, param: str | None, code: str | None) -> None:
    answer = await ask_and_check_health(serve(agent), "POST", CHAT, body)
    error = error_of(answer)
    assert answer.status == 400
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


@pytest.mark.parametrize("session", ["a b", "ä", "a/b", "x" * 129, "a;b", ""])
async def test_400_session_header(agent: Agent[None, str], session: str) -> None:
    answer = await ask_and_check_health(serve(agent), "POST", CHAT, chat(), {"x-session-id": session})
    assert (answer.status, error_of(answer)["param"]) == (400, "session_id")


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", "Basic right", "bearer: right", "right", "Bearer rig\xe4ht"],
)
async def test_401(agent: Agent[None, str], authorization: str | None) -> None:
    server = serve(agent, agent_api_keys="alice:right")
    headers = {} if authorization is None else {"authorization": authorization}
    for request in [
        ("POST", CHAT, chat()),
        ("GET", "/memory/sessions"),
        ("GET", "/nowhere"),
        ("GET", "/tools"),
    ]:
        answer = await ask_and_check_health(server, *request, headers=headers)
        assert (answer.status, error_of(answer)["code"]) == (401, "invalid_api_key")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await ask(server, "GET", "/tools", headers={"authorization": "bearer right"})).status == 200


async def test_404_route_and_model(agent: Agent[None, str]) -> None:
    for path in ("/nowhere", "/v1", "/v1/models/other", "/health/", "/v1/models/a%2Fb", "/../etc/passwd"):
        answer = await ask_and_check_health(serve(agent), "GET", path)
        assert (answer.status, error_of(answer)["type"]) == (404, "not_found_error")
    answer = await ask(serve(agent), "GET", "/v1/models/other")
    assert error_of(answer)["code"] == "model_not_found"


async def test_405(agent: Agent[None, str]) -> None:
    for method, path, allow in [
        ("GET", CHAT, "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("BREW", "/", "GET, HEAD, POST"),
    ]:
        answer = await ask_and_check_health(serve(agent), method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allow)
        assert error_of(answer)["code"] == "method_not_allowed"


async def test_413_announced_and_not(agent: Agent[None, str]) -> None:
    server = serve(agent, max_request_bytes=2000)
    answer = await ask_and_check_health(server, "POST", CHAT, chat("x" * 2000))
    assert (answer.status, error_of(answer)["code"]) == (413, "request_too_large")
    async with exchange(server, make_scope("POST", CHAT, {"transfer-encoding": "chunked"})) as talk:
        for _ in range(30):
            talk.send_body(b" " * 100, more=True)
        talk.send_body(b"")
        with anyio.fail_after(10):
            await talk.ended.wait()
        assert talk.answer.status == 413


async def test_415(agent: Agent[None, str]) -> None:
    for headers in ({"content-type": "text/plain"}, {"content-encoding": "gzip"}):
        answer = await ask_and_check_health(serve(agent), "POST", CHAT, b"{}", headers=headers)
        assert (answer.status, error_of(answer)["code"]) == (415, "unsupported_media_type")


async def test_429(agent: Agent[None, str]) -> None:
    async with model_endpoint(silent) as endpoint:
        server = serve(agent, max_concurrent_runs=1, model_api_url=endpoint.url, model_name="m")
        async with exchange(server, make_scope("POST", CHAT)) as talk:
            talk.send_body(b'{"messages": [{"role": "user", "content": "wait"}]}')
            await until(lambda: endpoint.calls)
            answer = await ask_and_check_health(server, "POST", CHAT, chat())
            assert (answer.status, error_of(answer)["code"]) == (429, "too_many_runs")
            assert int(answer.headers["retry-after"]) >= 1
            assert "x-should-retry" not in answer.headers
            talk.disconnect()
            with anyio.fail_after(10):
                await talk.ended.wait()
        assert (await ask(server, "POST", CHAT, b"{")).status == 400
        await server.agent.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_500_tool_blew_up(
    agent: Agent[None, str], stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(agent, debug_mock_responses=[calls("explode"), "done"])
    with caplog.at_level(logging.CRITICAL):
        answer = await ask_and_check_health(server, "POST", CHAT, chat(stream=stream, session_id="s"))
    if stream:
        assert answer.status == 200
        failed, error, done = answer.frames()[-3:]
        assert '"status":"failed"' in failed
        assert '"code":"run_failed"' in error
        assert done == "[DONE]"
    else:
        assert (answer.status, error_of(answer)["code"]) == (500, "run_failed")
        assert answer.headers["x-should-retry"] == "false"
    events = (await ask(server, "GET", "/memory/events", query="session_id=s")).json()["events"]
    assert [event["event_type"] for event in events] == ["user_message", "tool_call", "error"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_502_model_endpoint_failed(agent: Agent[None, str], status: int, stream: bool) -> None:
    async def refuse(call: ModelCall) -> None:
        await call.respond(
            status, {"error": {"message": f"Incorrect API key: {SECRET}"}}, "retry-after: 0\r\n"
        )

    async with model_endpoint(refuse) as endpoint:
        server = serve(agent, model_api_url=endpoint.url, model_name="m", model_api_key=SECRET)
        answer = await ask_and_check_health(server, "POST", CHAT, chat(stream=stream))
        assert (answer.status, error_of(answer)["code"]) == (502, str(status))
        assert answer.headers["x-should-retry"] == "false"
        assert endpoint.url not in answer.body.decode()
        assert len(endpoint.calls) <= 3
        await server.agent.close()


async def test_502_model_endpoint_is_not_there(agent: Agent[None, str]) -> None:
    server = serve(agent, model_api_url="http://127.0.0.1:9", model_name="m")
    answer = await ask_and_check_health(server, "POST", CHAT, chat())
    assert (answer.status, error_of(answer)["code"]) == (502, "model_unavailable")
    assert "127.0.0.1" not in answer.body.decode()
    await server.agent.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_502_model_misbehaves(agent: Agent[None, str], stream: bool) -> None:
    unknown = [calls("no_such_tool")] * 4
    answer = await ask_and_check_health(
        serve(agent, debug_mock_responses=unknown), "POST", CHAT, chat(stream=stream)
    )
    if stream:
        assert '"code":"model_behavior"' in answer.frames()[-2]
    else:
        assert (answer.status, error_of(answer)["code"]) == (502, "model_behavior")


class Unplugged(LocalMemory):
    """A memory whose backend went away."""

    def for_owner(self, owner: str) -> "Unplugged":
        return self

    async def append(self, session_id: str, events: Any) -> None:
        raise MemoryUnavailable("the memory could not be reached")

    async def check(self) -> None:
        raise MemoryUnavailable("the memory could not be reached")


class Broken(LocalMemory):
    """A memory of somebody's own, with a bug."""

    def for_owner(self, owner: str) -> "Broken":
        return self

    async def append(self, session_id: str, events: list[MemoryEvent] | Any) -> None:
        raise OSError(f"disk of {SECRET}")


@pytest.mark.parametrize("stream", [False, True])
async def test_503_memory(agent: Agent[None, str], stream: bool) -> None:
    server = serve(agent, memory=Unplugged())
    answer = await ask_and_check_health(server, "POST", CHAT, chat(stream=stream))
    assert (answer.status, error_of(answer)["code"]) == (503, "memory_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    ready = await ask(server, "GET", "/ready")
    assert (ready.status, ready.json()["checks"]["memory"]) == (503, "unreachable")


@pytest.mark.parametrize("stream", [False, True])
async def test_500_memory_with_a_bug_ends_the_run_all_the_same(agent: Agent[None, str], stream: bool) -> None:
    answer = await ask_and_check_health(serve(agent, memory=Broken()), "POST", CHAT, chat(stream=stream))
    assert (answer.status, error_of(answer)["code"]) == (500, "run_failed")


async def test_503_draining(agent: Agent[None, str]) -> None:
    server = serve(agent)
    await server.drain()
    answer = await ask_and_check_health(server, "POST", CHAT, chat())
    assert (answer.status, error_of(answer)["code"]) == (503, "server_shutdown")
    assert int(answer.headers["retry-after"]) >= 1
    ready = await ask(server, "GET", "/ready")
    assert (ready.status, ready.json()["checks"]["server"]) == (503, "draining")


@pytest.mark.parametrize("stream", [False, True])
async def test_504_run_timeout(agent: Agent[None, str], stream: bool) -> None:
    async with model_endpoint(silent) as endpoint:
        server = serve(agent, model_api_url=endpoint.url, model_name="m", run_timeout=0.2)
        answer = await ask_and_check_health(server, "POST", CHAT, chat(stream=stream))
        assert (answer.status, error_of(answer)["code"]) == (504, "run_timeout")
        assert answer.headers["x-should-retry"] == "false"
        await server.agent.close()


@pytest.mark.parametrize("stream", [False, True])
async def test_out_of_steps_keeps_its_events(agent: Agent[None, str], stream: bool) -> None:
    server = serve(agent, debug_mock_responses=[calls("fine")] * 9, agentic_loop_max_steps=2)
    answer = await ask_and_check_health(server, "POST", CHAT, chat(stream=stream, session_id="s"))
    if stream:
        assert '"code":"max_steps_exceeded"' in answer.frames()[-2]
    else:
        assert (answer.status, error_of(answer)["code"]) == (500, "max_steps_exceeded")
        assert "pydantic" not in answer.body.decode().lower()
    events = (await ask(server, "GET", "/memory/events", query="session_id=s")).json()["events"]
    kinds = ["user_message", "tool_call", "tool_result", "tool_call", "tool_result", "error"]
    assert [event["event_type"] for event in events] == kinds


@pytest.mark.parametrize("stream", [False, True])
async def test_mock_responses_exhausted(agent: Agent[None, str], stream: bool) -> None:
    server = serve(agent, debug_mock_responses=[calls("fine")])
    answer = await ask_and_check_health(server, "POST", CHAT, chat(stream=stream))
    if stream:
        assert '"code":"mock_responses_exhausted"' in answer.frames()[-2]
    else:
        assert (answer.status, error_of(answer)["code"]) == (500, "mock_responses_exhausted")
        assert "DEBUG_MOCK_RESPONSES" in error_of(answer)["message"]


@pytest.mark.parametrize("how", ["error", "cut", "garbage"])
async def test_failure_in_the_middle_of_a_stream_is_a_frame_and_then_done(
    agent: Agent[None, str], how: str
) -> None:
    async def break_off(call: ModelCall) -> None:
        await call.start_stream()
        await call.text("so far ")
        if how == "error":
            await call.event({"error": {"message": f"overloaded {SECRET}", "type": "server_error"}})
        elif how == "garbage":
            await call.event("{not json")
        call.writer.close()

    async with model_endpoint(break_off) as endpoint:
        server = serve(agent, model_api_url=endpoint.url, model_name="m")
        answer = await ask_and_check_health(server, "POST", CHAT, chat(stream=True))
        assert answer.status == 200
        assert answer.text() == "so far "
        error, done = answer.frames()[-2:]
        assert done == "[DONE]"
        assert Answer(body=error.encode()).json()["error"]["type"] == "upstream_error"
        assert "choices" not in error
        await server.agent.close()


async def test_interruption_by_the_host_is_not_an_answer(agent: Agent[None, str]) -> None:
    """A host that cancels the request ends the run, and the place it took is free again."""

    async with model_endpoint(silent) as endpoint:
        server = serve(agent, max_concurrent_runs=1, model_api_url=endpoint.url, model_name="m")
        async with exchange(server, make_scope("POST", CHAT)) as talk:
            talk.send_body(b'{"messages": [{"role": "user", "content": "wait"}], "session_id": "s"}')
            await until(lambda: endpoint.calls)
        assert talk.answer.status == 0
        await until(lambda: not endpoint.open_connections)
        events = (await ask(server, "GET", "/memory/events", query="session_id=s")).json()["events"]
        assert [event["event_type"] for event in events] == ["user_message", "error"]
        await server.agent.close()
