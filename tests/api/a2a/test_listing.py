"""Lists of tasks: pages, filters, and what is refused."""

from typing import Any

import pytest

from tests.api.a2a.rpc import error, make_server, result, send

pytestmark = pytest.mark.anyio

ASK = "tck-input-required"


async def test_list_is_the_latest_first_in_pages() -> None:
    server = make_server()
    ids = [(await send(server, contextId=f"c{number % 2}"))["id"] for number in range(5)]
    found: list[str] = []
    token = ""
    while True:
        page = await result(server, "ListTasks", pageSize=2, pageToken=token)
        assert (page["totalSize"], page["pageSize"]) == (5, 2)
        found += [task["id"] for task in page["tasks"]]
        token = page["nextPageToken"]
        if not token:
            break
    assert found == ids[::-1]
    (whole,) = [await result(server, "ListTasks", contextId="c1")]
    assert [task["id"] for task in whole["tasks"]] == [ids[3], ids[1]]
    assert (whole["nextPageToken"], whole["totalSize"], whole["pageSize"]) == ("", 2, 50)


async def test_list_of_what_matches() -> None:
    server = make_server()
    done, asks, canceled = await send(server), await send(server, ASK), await send(server, ASK)
    await result(server, "CancelTask", id=canceled["id"])

    async def ids(**filters: Any) -> list[str]:
        return [task["id"] for task in (await result(server, "ListTasks", **filters))["tasks"]]

    assert await ids(status="TASK_STATE_COMPLETED") == [done["id"]]
    assert await ids(status="TASK_STATE_INPUT_REQUIRED") == [asks["id"]]
    assert await ids(status="TASK_STATE_CANCELED") == [canceled["id"]]
    assert await ids(status="TASK_STATE_WORKING") == []
    assert await ids(contextId="other") == []
    assert await ids(statusTimestampAfter="2000-01-01T00:00:00Z") == [canceled["id"], asks["id"], done["id"]]
    assert await ids(statusTimestampAfter="2999-01-01T00:00:00+01:00") == []
    (task,) = (await result(server, "ListTasks", status="TASK_STATE_COMPLETED"))["tasks"]
    assert "artifacts" not in task
    (task,) = (
        await result(
            server, "ListTasks", status="TASK_STATE_COMPLETED", includeArtifacts=True, historyLength=0
        )
    )["tasks"]
    assert task["artifacts"]
    assert "history" not in task


@pytest.mark.parametrize(
    "params",
    [
        {"pageSize": 0},
        {"pageSize": 101},
        {"pageSize": -1},
        {"pageSize": "2"},
        {"pageToken": "nonsense"},
        {"pageToken": "bm9uc2Vuc2U="},
        {"status": "done"},
        {"statusTimestampAfter": "yesterday"},
        {"historyLength": -1},
        {"includeArtifacts": "yes"},
    ],
)
async def test_lists_that_are_refused(params: dict[str, Any]) -> None:
    assert (await error(make_server(), "ListTasks", **params))["code"] == -32602


async def test_0_3_has_no_list_over_json_rpc() -> None:
    assert (await error(make_server(), "tasks/list"))["code"] == -32601
