"""The official Python client, unmodified, against a card of either version: by that of 0.3, it speaks 0.3."""

from collections.abc import AsyncIterator

import anyio
import pytest
from a2a.client import Client, create_client
from a2a.types import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskState,
)
from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(served_url: str) -> AsyncIterator[Client]:
    async with await create_client(served_url) as client:
        yield client


def message(
    message_id: str, text: str = "Hello.", task_id: str = "", *, at_once: bool = False
) -> SendMessageRequest:
    return SendMessageRequest(
        message=Message(message_id=message_id, role=Role.ROLE_USER, parts=[Part(text=text)], task_id=task_id),
        configuration=SendMessageConfiguration(return_immediately=at_once),
    )


async def sent(client: Client, request: SendMessageRequest) -> list[StreamResponse]:
    with anyio.fail_after(20):
        return [event async for event in client.send_message(request)]


def answer(events: list[StreamResponse]) -> str:
    pieces: list[str] = []
    for event in events:
        if event.HasField("artifact_update"):
            if not event.artifact_update.append:
                pieces.clear()
            pieces += [part.text for part in event.artifact_update.artifact.parts]
    return "".join(pieces)


async def test_stream(client: Client) -> None:
    events = await sent(client, message("tck-stream-artifact-chunked"))
    assert events[0].HasField("task")
    assert answer(events) == "chunk-1 chunk-2"
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED
    task = await client.get_task(GetTaskRequest(id=events[0].task.id))
    assert task.status.state == TaskState.TASK_STATE_COMPLETED
    assert [part.text for part in task.artifacts[0].parts] == ["chunk-1 chunk-2"]
    assert [entry.message_id for entry in task.history] == ["tck-stream-artifact-chunked"]


async def task_that_asks(client: Client) -> Task:
    events = await sent(client, message("tck-input-required"))
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_INPUT_REQUIRED
    return await client.get_task(GetTaskRequest(id=events[0].task.id))


async def test_task_goes_on_when_it_is_answered(client: Client) -> None:
    task = await task_that_asks(client)
    assert "What next?" in task.status.message.parts[0].text
    events = await sent(client, message("tck-complete-task", "yes", task.id))
    assert {event.task.id for event in events if event.HasField("task")} == {task.id}
    assert answer(events) == "Hello from TCK"
    found = await client.get_task(GetTaskRequest(id=task.id))
    assert [entry.role for entry in found.history] == [Role.ROLE_USER, Role.ROLE_AGENT, Role.ROLE_USER]


async def test_cancel(client: Client) -> None:
    task = await task_that_asks(client)
    canceled = await client.cancel_task(CancelTaskRequest(id=task.id))
    assert (canceled.id, canceled.status.state) == (task.id, TaskState.TASK_STATE_CANCELED)
    with pytest.raises(TaskNotCancelableError):
        await client.cancel_task(CancelTaskRequest(id=task.id))
    with pytest.raises(TaskNotFoundError):
        await client.get_task(GetTaskRequest(id="nobody's"))


async def test_stream_that_broke_off_is_taken_up_again(client: Client) -> None:
    stream = client.send_message(message("slow"))
    with anyio.fail_after(20):
        task_id = (await anext(aiter(stream))).task.id
        await stream.aclose()  # type: ignore[attr-defined]
        events = [event async for event in client.subscribe(SubscribeToTaskRequest(id=task_id))]
    assert events[0].task.id == task_id
    assert answer(events) == "Still here. Done."
    assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED


async def test_list(card_version: str, client: Client) -> None:
    task = await task_that_asks(client)
    asked = ListTasksRequest(context_id=task.context_id)
    if card_version == "0.3":
        # Over JSON-RPC, 0.3 has no such method.
        with pytest.raises(NotImplementedError):
            await client.list_tasks(asked)
        return
    assert [entry.id for entry in (await client.list_tasks(asked)).tasks] == [task.id]
