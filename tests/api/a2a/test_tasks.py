"""Tasks over several calls: sent, asked for, continued and canceled."""

from typing import Any

import anyio
import pytest
from pydantic_ai import Agent, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import serve
from tests.api.a2a.rpc import (
    Slow,
    call,
    error,
    failing_server,
    make_server,
    message,
    old_message,
    result,
    send,
)
from tests.support.asgi import ask
from tests.support.serving import mock_agents

pytestmark = pytest.mark.anyio

ASK = "tck-input-required"


async def test_send_waits_for_the_answer() -> None:
    server = make_server()
    task = await send(server)
    assert task["status"]["state"] == "TASK_STATE_COMPLETED"
    assert task["status"]["timestamp"].endswith("Z")
    assert task["artifacts"] == [{"artifactId": "answer", "parts": [{"text": "Hello from TCK"}]}]
    (sent,) = task["history"]
    assert (sent["messageId"], sent["parts"], sent["role"]) == (
        "tck-complete-task",
        [{"text": "Hello."}],
        "ROLE_USER",
    )
    assert (sent["taskId"], sent["contextId"]) == (task["id"], task["contextId"])
    assert await result(server, "GetTask", id=task["id"]) == task
    old = await result(server, "tasks/get", id=task["id"])
    assert (old["kind"], old["status"]["state"]) == ("task", "completed")


async def test_task_is_a_run_and_its_context_a_session() -> None:
    server = make_server()
    answer = await call(server, "SendMessage", message=message(contextId="s1"))
    task = answer.json()["result"]["task"]
    assert task["contextId"] == "s1" == answer.headers["x-session-id"]
    assert task["id"] == answer.headers["x-run-id"]
    events = (await ask(server, "GET", "/memory/events", query="session_id=s1")).json()["events"]
    assert [event["content"] for event in events] == ["Hello.", "Hello from TCK"]


async def test_what_was_said_in_a_context_is_known_to_its_next_task() -> None:
    said: list[int] = []

    async def count(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said.append(len(messages))
        return ModelResponse(parts=[TextPart("Yes.")])

    server = serve(Agent(FunctionModel(count), name="counter"))
    first = await send(server)
    second = await send(server, contextId=first["contextId"])
    assert first["id"] != second["id"]
    assert said == [1, 3]


@pytest.mark.parametrize("context", ["a b", "x" * 200, "é"])
async def test_context_that_cannot_be_a_session_is_refused(context: str) -> None:
    assert (await error(make_server(), "SendMessage", message=message(contextId=context)))["code"] == -32602


@pytest.mark.parametrize(
    "fields",
    [
        {"messageId": None},
        {"messageId": ""},
        {"messageId": 3},
        {"role": None},
        {"role": "user"},
        {"parts": None},
        {"contextId": 3},
        {"taskId": []},
        {"metadata": "x"},
        {"extensions": "x"},
        {"referenceTaskIds": [1]},
        {"referenceTaskIds": "x"},
    ],
)
async def test_messages_that_are_refused(fields: dict[str, Any]) -> None:
    server = make_server()
    assert (await error(server, "SendMessage", message=message(**fields)))["code"] == -32602
    if fields.get("role") != "user":
        assert (await error(server, "message/send", message=old_message(**fields)))["code"] == -32602


@pytest.mark.parametrize(
    "configuration",
    [
        "x",
        {"returnImmediately": "yes"},
        {"acceptedOutputModes": "text/plain"},
        {"accepted_output_modes": [1]},
    ],
)
async def test_wishes_for_the_answer_that_are_refused(configuration: Any) -> None:
    found = await error(make_server(), "SendMessage", message=message(), configuration=configuration)
    assert found["code"] == -32602
    assert found["data"][0]["fieldViolations"][0]["field"].startswith("configuration")


async def test_names_may_come_in_snake_case() -> None:
    server = make_server()
    sent = {
        "message_id": "tck-complete-task",
        "role": "ROLE_USER",
        "parts": [{"text": "x"}],
        "context_id": "s",
    }
    task = (
        await result(
            server, "SendMessage", message=sent, configuration={"history_length": 0}, unknown={"a": 1}
        )
    )["task"]
    assert task["contextId"] == "s"
    assert "history" not in task


async def test_answer_that_is_a_message_leaves_no_task() -> None:
    server = make_server()
    found = await result(server, "SendMessage", message=message("tck-message-response"))
    assert found.keys() == {"message"}
    assert found["message"]["parts"] == [{"text": "Direct message response"}]
    assert (found["message"]["role"], bool(found["message"]["contextId"])) == ("ROLE_AGENT", True)
    assert (await result(server, "ListTasks"))["tasks"] == []
    old = await result(server, "message/send", message=old_message("tck-message-response"))
    assert (old["kind"], old["role"]) == ("message", "agent")


async def test_answer_that_was_held_back_rejects_the_task_and_a_failure_fails_it() -> None:
    held_back = await send(make_server(), "tck-reject-task")
    assert held_back["status"]["state"] == "TASK_STATE_REJECTED"
    assert "artifacts" not in held_back
    failed = await send(failing_server())
    assert failed["status"]["state"] == "TASK_STATE_FAILED"
    said = failed["status"]["message"]
    assert said["metadata"] == {"code": "mock_responses_exhausted"}
    assert said["parts"][0]["text"]


@pytest.mark.parametrize(
    ("length", "ids"), [(None, [ASK, "…-status", "tck-complete-task"]), (1, ["tck-complete-task"]), (0, None)]
)
async def test_as_much_history_as_was_asked_for(length: int | None, ids: list[str] | None) -> None:
    server = make_server()
    asks = await send(server, ASK)
    wanted = {} if length is None else {"historyLength": length}
    sent = message(taskId=asks["id"])
    done = (await result(server, "SendMessage", message=sent, configuration=wanted))["task"]
    for task in (done, await result(server, "GetTask", id=asks["id"], **wanted)):
        if ids is None:
            assert "history" not in task
        else:
            found = [entry["messageId"] for entry in task["history"]]
            assert [name.replace(asks["id"], "…") for name in found] == ids


@pytest.mark.parametrize("length", [-1, "1", 1.5, True])
async def test_lengths_of_history_that_are_refused(length: Any) -> None:
    server = make_server()
    task = await send(server)
    assert (await error(server, "GetTask", id=task["id"], historyLength=length))["code"] == -32602
    configuration = {"historyLength": length}
    assert (await error(server, "SendMessage", message=message(), configuration=configuration))[
        "code"
    ] == -32602


# ------------------------------------------------------------------------------------------------ continuing


async def test_task_that_asks_goes_on_when_it_is_answered() -> None:
    server = make_server()
    asks = await send(server, ASK)
    assert asks["status"]["state"] == "TASK_STATE_INPUT_REQUIRED"
    text, data = asks["status"]["message"]["parts"]
    assert "What next?" in text["text"]
    (waiting,) = data["data"]["calls"]
    assert (waiting["tool"], waiting["waits_for"]) == ("ask", "approval")
    again = await send(server, ASK, taskId=asks["id"])
    assert (again["id"], again["status"]["state"]) == (asks["id"], "TASK_STATE_INPUT_REQUIRED")
    done = await send(server, taskId=asks["id"], contextId=asks["contextId"])
    assert (done["id"], done["contextId"]) == (asks["id"], asks["contextId"])
    assert done["status"]["state"] == "TASK_STATE_COMPLETED"
    assert [entry["role"] for entry in done["history"]] == ["ROLE_USER", "ROLE_AGENT"] * 2 + ["ROLE_USER"]
    # All of it is one task.
    assert [task["id"] for task in (await result(server, "ListTasks"))["tasks"]] == [asks["id"]]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"text": "Yes."}, "What next? Nothing."),
        ({"text": "no"}, "The tool call was denied."),
        ({"text": "Ask Bob first."}, "Ask Bob first."),
        ({"data": {"approved": True}}, "What next? Nothing."),
        ({"data": {"approved": False, "reason": "Not now."}}, "Not now."),
    ],
)
async def test_what_the_model_is_told_of_an_answer(part: Any, told: str) -> None:
    server = make_server()
    asks = await send(server, ASK)
    await send(server, taskId=asks["id"], parts=[part])
    query = f"session_id={asks['contextId']}"
    events = (await ask(server, "GET", "/memory/events", query=query)).json()["events"]
    (found,) = [event["content"]["result"] for event in events if event["event_type"] == "tool_result"]
    assert found == told


@pytest.mark.parametrize(
    "part",
    [
        {"data": {"approved": "yes"}},
        {"data": {"call_id": "other", "approved": True}},
        {"data": {}},
        {"data": 3},
        {"raw": "eA==", "mediaType": "text/plain"},
    ],
)
async def test_answers_that_are_refused_leave_the_task_waiting(part: Any) -> None:
    server = make_server()
    asks = await send(server, ASK)
    sent = message(taskId=asks["id"], parts=[part])
    assert (await error(server, "SendMessage", message=sent))["code"] == -32602
    assert (await send(server, taskId=asks["id"]))["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_messages_for_tasks_that_take_none() -> None:
    server = make_server()
    asks, done = await send(server, ASK), await send(server)
    other = message(taskId=asks["id"], contextId="other")
    assert (await error(server, "SendMessage", message=other))["code"] == -32602
    assert (await error(server, "SendMessage", message=message(taskId="nobody's")))["code"] == -32001
    assert (await error(server, "SendMessage", message=message(taskId=done["id"])))["code"] == -32004


async def test_of_two_who_answer_at_once_one_goes_on_with_the_task() -> None:
    server = make_server()
    asks = await send(server, ASK)
    answers: list[Any] = []

    async def answer(text: str) -> None:
        sent = message("slow", text, taskId=asks["id"])
        answers.append((await call(server, "SendMessage", message=sent)).json())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(answer, "yes")
        tasks.start_soon(answer, "no")
    assert sorted("result" in found for found in answers) == [False, True]
    (refused,) = [found["error"] for found in answers if "error" in found]
    assert refused["code"] == -32004


# ------------------------------------------------------------------------------------------------ canceling


async def test_task_that_asks_can_be_canceled_once() -> None:
    server = make_server()
    asks = await send(server, ASK)
    canceled = await result(server, "CancelTask", id=asks["id"])
    assert (canceled["id"], canceled["status"]["state"]) == (asks["id"], "TASK_STATE_CANCELED")
    assert (await result(server, "GetTask", id=asks["id"]))["status"]["state"] == "TASK_STATE_CANCELED"
    assert (await error(server, "CancelTask", id=asks["id"]))["code"] == -32002
    assert (await error(server, "SendMessage", message=message(taskId=asks["id"])))["code"] == -32004
    assert (await error(server, "CancelTask", id="nobody's"))["code"] == -32001


@pytest.mark.parametrize(
    ("method", "configuration", "cancel", "states"),
    [
        (
            "SendMessage",
            {"returnImmediately": True},
            "CancelTask",
            ("TASK_STATE_WORKING", "TASK_STATE_CANCELED"),
        ),
        ("message/send", {"blocking": False}, "tasks/cancel", ("working", "canceled")),
    ],
)
async def test_task_under_way_is_canceled(
    method: str, configuration: Any, cancel: str, states: tuple[str, str]
) -> None:
    slow = Slow()
    server = slow.server()
    sent = message() if method == "SendMessage" else old_message()
    found = await result(server, method, message=sent, configuration=configuration)
    task_id = found.get("task", found)["id"]
    with anyio.fail_after(5):
        await slow.began.wait()
    assert (await result(server, "GetTask", id=task_id))["status"]["state"] == "TASK_STATE_WORKING"
    assert (await error(server, "SendMessage", message=message(taskId=task_id)))["code"] == -32004
    assert (await result(server, cancel, id=task_id))["status"]["state"] == states[1]
    with anyio.fail_after(5):
        await slow.stopped.wait()
    assert (await error(server, "CancelTask", id=task_id))["code"] == -32002


# ------------------------------------------------------------------------------------------------ around it


async def test_tasks_of_others_are_not_there() -> None:
    server = make_server(agent_api_keys="ada:a,bob:b")
    task = await send(server, ASK, key="a")
    for method in ("GetTask", "CancelTask", "SubscribeToTask"):
        assert (await error(server, method, key="b", id=task["id"]))["code"] == -32001
    sent = message(taskId=task["id"])
    assert (await error(server, "SendMessage", key="b", message=sent))["code"] == -32001
    assert (await result(server, "ListTasks", key="b"))["totalSize"] == 0
    assert (await result(server, "ListTasks", key="a"))["totalSize"] == 1


async def test_runs_of_other_protocols_are_no_tasks() -> None:
    server = make_server()
    body = {"messages": [{"role": "user", "content": "Hi."}]}
    run = (await ask(server, "POST", "/v1/chat/completions", body)).headers["x-run-id"]
    assert (await error(server, "GetTask", id=run))["code"] == -32001
    asks = await send(server, ASK)
    later = await call(server, "SendMessage", message=message(taskId=asks["id"]))
    assert (await error(server, "GetTask", id=later.headers["x-run-id"]))["code"] == -32001


async def test_each_of_several_agents_has_its_own_tasks() -> None:
    server = mock_agents({"a": ["from a"], "b": ["from b"]})
    for path, says in (
        ("/", "a"),
        ("/agents/a", "a"),
        ("/agents/a/", "a"),
        ("/agents/b", "b"),
        ("/agents/b/", "b"),
    ):
        answer = (await call(server, "SendMessage", path=path, message=message())).json()
        assert answer["result"]["task"]["artifacts"][0]["parts"] == [{"text": f"from {says}"}]
    assert (await call(server, "ListTasks", path="/agents/b")).json()["result"]["totalSize"] == 2


async def test_server_that_is_full_or_leaves_says_when_to_come_back() -> None:
    slow = Slow()
    server = slow.server(max_concurrent_runs=1, shutdown_grace_seconds=0)
    first = await result(server, "SendMessage", message=message(), configuration={"returnImmediately": True})
    full = await call(server, "SendMessage", message=message())
    assert (full.status, full.json()["error"]["code"], full.headers["retry-after"]) == (429, -32603, "1")
    await server.drain()
    leaves = await call(server, "SendMessage", message=message())
    assert (leaves.status, leaves.json()["error"]["code"]) == (503, -32603)
    task = await result(server, "GetTask", id=first["task"]["id"])
    assert task["status"]["state"] == "TASK_STATE_FAILED"
    assert task["status"]["message"]["metadata"] == {"code": "server_shutdown"}


async def test_same_idempotency_key_is_the_same_task() -> None:
    server = make_server()
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message()}}
    headers = {"idempotency-key": "k"}
    answers = [(await ask(server, "POST", "/", body, headers)).json() for _ in range(2)]
    assert answers[0]["result"]["task"]["id"] == answers[1]["result"]["task"]["id"]
    other = await ask(server, "POST", "/", {**body, "id": 2}, headers)
    assert other.json()["error"]["code"] == -32004


async def test_what_the_agent_sees_of_the_message() -> None:
    seen: list[Any] = []
    agent = Agent("test", name="seer")

    @agent.instructions
    def look(ctx: RunContext[Any]) -> str:
        seen.append(ctx.metadata)
        return "x"

    server = serve(agent, debug_mock_responses=["Yes."])
    sent = message("m1", metadata={"a": 1})
    task = (await result(server, "SendMessage", message=sent, metadata={"b": 2}))["task"]
    assert seen[-1] == {
        "a2a": {
            "task_id": task["id"],
            "context_id": task["contextId"],
            "message_id": "m1",
            "metadata": {"a": 1},
            "request_metadata": {"b": 2},
        }
    }
