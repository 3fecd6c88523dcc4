"""Agents that work together, each a process of its own, as a client of the first one sees them."""

import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack

import anyio
import httpx2
import pytest

from tests.support.agents import (
    CHAT,
    agent_process,
    call,
    delegate,
    events,
    knows,
    progress,
    stream_chat,
)
from tests.support.asgi import chat
from tests.support.clients import http_client
from tests.support.endpoint import Cue, ModelCall, endpoint_in_thread
from tests.support.ports import free_port
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with http_client() as client:
        yield client


@pytest.mark.parametrize("stream", [True, False])
async def test_three_agents_work_on_one_question_and_each_remembers_its_part(
    client: httpx2.AsyncClient, stream: bool
) -> None:
    with ExitStack() as stack:
        writer = stack.enter_context(agent_process("writer", "Rivers flow, we know."))
        researcher = stack.enter_context(
            agent_process(
                "researcher",
                delegate("writer", "write a line", content="Let me ask. "),
                "The line is written.",
                knows={"writer": writer.url},
            )
        )
        first = stack.enter_context(
            agent_process(
                "orchestrator",
                delegate("researcher", "find a line"),
                "Here it is.",
                knows={"researcher": researcher.url},
            )
        )
        await knows(client, first.url, "researcher")
        await knows(client, researcher.url, "writer")
        answer = await client.post(
            first.url + CHAT, json=chat("A line about rivers!", stream=stream), headers={"x-session-id": "s"}
        )
        assert answer.status_code == 200
        assert await events(client, first.url, "s") == [
            ("user_message", "A line about rivers!"),
            (
                "delegation_request",
                {
                    "tool": "delegate_to_researcher",
                    "call_id": "call_0",
                    "arguments": {"task": "find a line"},
                },
            ),
            (
                "delegation_response",
                {"tool": "delegate_to_researcher", "call_id": "call_0", "result": "The line is written."},
            ),
            ("agent_response", "Here it is."),
        ]
        assert [kind for kind, _ in await events(client, researcher.url)] == [
            "task_delegation_received",
            "delegation_request",
            "delegation_response",
            "agent_response",
        ]
        assert await events(client, writer.url) == [
            ("task_delegation_received", "write a line"),
            ("agent_response", "Rivers flow, we know."),
        ]


async def test_what_sub_agents_say_and_do_comes_up_through_any_depth_while_they_work(
    client: httpx2.AsyncClient,
) -> None:
    with ExitStack() as stack:
        writer = stack.enter_context(agent_process("writer", "Rivers flow."))
        researcher = stack.enter_context(
            agent_process(
                "researcher", delegate("writer", content="Hm. "), "Written.", knows={"writer": writer.url}
            )
        )
        first = stack.enter_context(
            agent_process("first", delegate("researcher"), "Done.", knows={"researcher": researcher.url})
        )
        await knows(client, first.url, "researcher")
        await knows(client, researcher.url, "writer")
        answer = await stream_chat(client, first.url)
    assert answer.text() == "Done."
    reports = progress(answer)
    own = [report for report in reports if "path" not in report]
    nested = [report for report in reports if "path" in report]
    assert {(report["action"], report["target"]) for report in own} == {("delegate", "researcher")}
    assert [report["status"] for report in own if report["status"] != "running"] == ["started", "completed"]
    assert "".join(report.get("delta", "") for report in own) == "Hm. Written."
    assert {(report["action"], report["target"]) for report in nested} == {("delegate", "writer")}
    assert all(report["path"] == [{"agent": "researcher", "call_id": "call_0"}] for report in nested)
    assert "".join(report.get("delta", "") for report in nested) == "Rivers flow."
    assert [report["status"] for report in nested if report["status"] != "running"] == [
        "started",
        "completed",
    ]
    # The writer's steps lie within the researcher's, and the researcher's own text is around them.
    places = [place for place, report in enumerate(reports) if "path" in report]
    assert reports[places[0] - 1]["delta"].endswith(". ")
    assert places == list(range(places[0], places[-1] + 1))


async def test_the_chain_the_trace_and_the_time_left_go_along_and_no_session_does(
    client: httpx2.AsyncClient,
) -> None:
    calls: list[ModelCall] = []

    async def script(request: ModelCall) -> None:
        if request.path == "/.well-known/agent-card.json":
            await request.respond(200, {"name": "clerk", "description": "Files things."})
        else:
            calls.append(request)
            await request.complete("Filed.")

    with (
        endpoint_in_thread(script) as clerk,
        agent_process(
            "second",
            delegate("clerk"),
            "Done.",
            knows={"clerk": clerk.url},
            SUB_AGENT_CLERK_API_KEY="opensesame",
            RUN_TIMEOUT="20",
        ) as second,
        agent_process("first", delegate("second"), "Done.", knows={"second": second.url}) as first,
    ):
        await knows(client, second.url, "clerk")
        await knows(client, first.url, "second")
        await stream_chat(client, first.url, traceparent=TRACE, tracestate="a=b")
    (request,) = calls
    assert request.headers["x-delegation-chain"] == "first,second"
    assert request.headers["traceparent"] == TRACE
    assert request.headers["tracestate"] == "a=b"
    assert request.headers["authorization"] == "Bearer opensesame"
    assert 0 < float(request.headers["x-request-timeout"]) < 20
    assert "x-session-id" not in request.headers


async def test_delegations_of_one_turn_are_under_way_at_the_same_time(client: httpx2.AsyncClient) -> None:
    both = Cue()
    waiting: list[ModelCall] = []

    async def script(request: ModelCall) -> None:
        waiting.append(request)
        if len(waiting) == 2:
            both.give()
        await both.given()
        await request.complete("Done.")

    with ExitStack() as stack:
        model = stack.enter_context(endpoint_in_thread(script))
        urls = {
            name: stack.enter_context(agent_process(name, model=model.url)).url for name in ("left", "right")
        }
        first = stack.enter_context(
            agent_process(
                "first",
                call(("delegate_to_left", {"task": "a"}), ("delegate_to_right", {"task": "b"})),
                "Both are done.",
                knows=urls,
            )
        )
        await knows(client, first.url, "left", "right")
        answer = await stream_chat(client, first.url)
    assert answer.text() == "Both are done."
    marks = [(report["target"], report["status"]) for report in progress(answer)]
    # Neither model answered before both had been asked.
    assert [status for _, status in marks[:2]] == ["started", "started"]
    assert {mark for mark in marks if mark[1] == "completed"} == {
        ("left", "completed"),
        ("right", "completed"),
    }


async def test_sub_agent_that_dies_mid_answer_fails_its_delegation_only_and_comes_back_by_itself(
    client: httpx2.AsyncClient,
) -> None:
    hold = Cue()

    async def script(request: ModelCall) -> None:
        await request.start_stream()
        await request.text("Once upon ")
        await hold.given()
        await request.text("a time.")
        await request.end_stream()

    port = free_port()
    with endpoint_in_thread(script) as model, ExitStack() as stack:
        teller = stack.enter_context(agent_process("teller", model=model.url, port=port))
        first = stack.enter_context(
            agent_process("first", delegate("teller"), "No tale today.", knows={"teller": teller.url})
        )
        await knows(client, first.url, "teller")
        body = chat("A tale!", stream=True, session_id="s")
        async with client.stream("POST", first.url + CHAT, json=body) as answer:
            lines = answer.aiter_lines()
            async for line in lines:
                if "Once upon" in line:
                    break
            teller.stop(signal.SIGKILL)
            rest = [line async for line in lines]
        assert '"status":"failed"' in "".join(rest)
        assert rest[-2:] == ["data: [DONE]", ""] or "data: [DONE]" in rest
        told = dict(await events(client, first.url, "s"))
        assert told["delegation_response"]["result"].startswith("[Delegation failed: ")
        assert told["agent_response"] == "No tale today."
        await knows(client, first.url)
        hold.give()
        stack.enter_context(agent_process("teller", model=model.url, port=port))
        await knows(client, first.url, "teller")
        await client.post(first.url + CHAT, json={**body, "session_id": "again"})
        told = dict(await events(client, first.url, "again"))
        assert told["delegation_response"]["result"] == "Once upon a time."


async def test_ring_of_agents_that_only_ever_delegate_comes_to_an_end(client: httpx2.AsyncClient) -> None:
    asked: Counter[str] = Counter()

    async def script(request: ModelCall) -> None:
        asked[request.body["model"]] += 1
        tool = request.body["tools"][0]["function"]["name"]
        await request.call_tool(tool, {"task": "you do it"})

    names = ["a", "b", "c"]
    ports = {name: free_port() for name in names}
    with endpoint_in_thread(script) as model, ExitStack() as stack:
        for place, name in enumerate(names):
            other = names[(place + 1) % 3]
            url = f"http://127.0.0.1:{ports[other]}"
            stack.enter_context(agent_process(name, model=model.url, port=ports[name], knows={other: url}))
        for place, name in enumerate(names):
            await knows(client, f"http://127.0.0.1:{ports[name]}", names[(place + 1) % 3])
        began = time.monotonic()
        answer = await client.post(f"http://127.0.0.1:{ports['a']}{CHAT}", json=chat("Who does it?"))
        seconds = time.monotonic() - began
        told = [content for _, content in await events(client, f"http://127.0.0.1:{ports['c']}")]
    assert answer.json()["error"]["code"] == "max_steps_exceeded"
    assert set(asked) == set(names)
    assert max(asked.values()) <= 5, asked
    assert any("handed this task on itself" in str(content) for content in told)
    assert seconds < 10


async def test_client_that_leaves_ends_the_whole_tree(client: httpx2.AsyncClient) -> None:
    left = Cue()

    async def script(request: ModelCall) -> None:
        await request.start_stream()
        await request.text("Once ")
        await request.closed()
        left.give()

    with endpoint_in_thread(script) as model, ExitStack() as stack:
        writer = stack.enter_context(agent_process("writer", model=model.url))
        second = stack.enter_context(
            agent_process("second", delegate("writer"), "Done.", knows={"writer": writer.url})
        )
        first = stack.enter_context(
            agent_process("first", delegate("second"), "Done.", knows={"second": second.url})
        )
        await knows(client, second.url, "writer")
        await knows(client, first.url, "second")
        async with http_client() as leaving:
            async with leaving.stream("POST", first.url + CHAT, json=chat(stream=True)) as answer:
                async for line in answer.aiter_lines():
                    if "Once" in line:
                        break
            began = time.monotonic()
        with anyio.fail_after(20):
            await left.given()

        async def are_cancelled() -> bool:
            last = [(await events(client, process.url))[-1][0] for process in (first, second, writer)]
            return last == ["error"] * 3

        await until(are_cancelled)
        assert time.monotonic() - began < 5
