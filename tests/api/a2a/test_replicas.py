"""Tasks on two replicas: begun on one, and found, followed, continued and canceled on the other."""

from collections.abc import AsyncIterator

import anyio
import pytest

from pais_lite import AgentServer
from tests.api.a2a.rpc import Slow, begin, error, events, make_server, message, result, scope, send
from tests.support.asgi import exchange
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.anyio

ASK = "tck-input-required"


@pytest.fixture
async def pair(valkey: ValkeyServer) -> AsyncIterator[tuple[AgentServer, AgentServer]]:
    """Two replicas of the agent of the compatibility kits."""
    one, two = (make_server(memory_type="redis", memory_redis_url=valkey.url) for _ in range(2))
    async with one.lifespan(), two.lifespan():
        yield one, two


async def test_task_that_asks_on_one_replica_is_answered_on_the_other(
    pair: tuple[AgentServer, AgentServer],
) -> None:
    one, two = pair
    asks = await send(one, ASK)
    assert await result(two, "GetTask", id=asks["id"]) == asks
    async with exchange(one, scope()) as talk:
        begin(talk, "SubscribeToTask", id=asks["id"])
        await talk.until("TASK_STATE_INPUT_REQUIRED")
        done = await send(two, taskId=asks["id"])
        assert done["status"]["state"] == "TASK_STATE_COMPLETED"
        with anyio.fail_after(10):
            await talk.ended.wait()
        last = events(talk.answer)[-1]
    assert last["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"
    assert await result(one, "GetTask", id=asks["id"]) == done
    assert [task["id"] for task in (await result(one, "ListTasks"))["tasks"]] == [asks["id"]]


async def test_outputs_of_all_kinds_are_the_same_on_the_other_replica(
    pair: tuple[AgentServer, AgentServer],
) -> None:
    one, two = pair
    for message_id in ("tck-artifact-text", "tck-artifact-file", "tck-artifact-data"):
        task = await send(one, message_id)
        assert await result(two, "GetTask", id=task["id"]) == task
    found = await result(two, "ListTasks", pageSize=2)
    assert (len(found["tasks"]), found["totalSize"]) == (2, 3)


async def test_task_of_one_replica_is_followed_and_canceled_on_the_other(valkey: ValkeyServer) -> None:
    slow = Slow()
    one, two = (slow.server(memory_type="redis", memory_redis_url=valkey.url) for _ in range(2))
    async with one.lifespan(), two.lifespan():
        sent = await result(one, "SendMessage", message=message(), configuration={"returnImmediately": True})
        task_id = sent["task"]["id"]
        async with exchange(two, scope()) as talk:
            begin(talk, "SubscribeToTask", id=task_id)
            await talk.until("first")
            canceled = await result(two, "CancelTask", id=task_id)
            assert canceled["status"]["state"] == "TASK_STATE_CANCELED"
            with anyio.fail_after(10):
                await talk.ended.wait()
            last = events(talk.answer)[-1]
        assert last["statusUpdate"]["status"]["state"] == "TASK_STATE_CANCELED"
        assert (await error(one, "CancelTask", id=task_id))["code"] == -32002
