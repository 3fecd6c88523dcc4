"""Agents on the servers of others as sub-agents, by A2A: FastA2A, and the official SDK's server in both versions."""

import anyio
import pytest
from a2a.helpers.proto_helpers import new_task_from_user_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandlerV2
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, Part
from fasta2a.pydantic_ai import agent_to_a2a
from pydantic_ai import Agent
from pydantic_ai.models.test import TestModel
from starlette.applications import Starlette

from pais_lite import AgentServer, RemoteAgent
from tests.support.agents import delegate, progress
from tests.support.asgi import Answer, ask, chat
from tests.support.serving import listening, mock_server

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"


class Helper(AgentExecutor):
    """Answers in two pieces; asked to wait, it waits until it is told to stop."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.canceled = anyio.Event()

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        assert context.message is not None
        task = context.current_task or new_task_from_user_message(context.message)
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        asked = context.get_user_input()
        self.asked.append(asked)
        await updater.start_work()
        if asked.endswith("wait"):
            await anyio.sleep_forever()
        if asked.endswith("fail"):
            await updater.failed(updater.new_agent_message([Part(text="No.")]))
            return
        if asked.endswith("ask"):
            await updater.requires_input(updater.new_agent_message([Part(text="Which one?")]))
            return
        await updater.add_artifact([Part(text="The first half")], artifact_id="a")
        await updater.add_artifact(
            [Part(text=" and the second.")], artifact_id="a", append=True, last_chunk=True
        )
        await updater.complete()

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        self.canceled.set()
        await TaskUpdater(event_queue, context.task_id or "", context.context_id or "").cancel()


def sdk_app(helper: Helper, url: str, version: str, *, streams: bool) -> Starlette:
    """Return an agent on the official server."""
    card = AgentCard(
        name="helper",
        description="Helps.",
        version="1",
        supported_interfaces=[
            AgentInterface(url=f"{url}/rpc", protocol_binding="JSONRPC", protocol_version=version)
        ],
        capabilities=AgentCapabilities(streaming=streams),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="help", name="help", description="Helps.", tags=["help"])],
    )
    handler = DefaultRequestHandlerV2(helper, InMemoryTaskStore(), card)
    return Starlette(
        routes=[
            *create_agent_card_routes(card),
            *create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=True),
        ]
    )


async def delegated(server: AgentServer, *, stream: bool = True) -> Answer:
    with anyio.fail_after(20):
        return await ask(server, "POST", CHAT, chat("x", stream=stream))


async def result(server: AgentServer) -> str:
    events = (await ask(server, "GET", "/memory/events")).json()["events"]
    (found,) = [
        event["content"]["result"] for event in events if event["event_type"] == "delegation_response"
    ]
    return str(found)


@pytest.mark.parametrize("stream", [True, False])
async def test_fasta2a(stream: bool) -> None:
    fasta = Agent(TestModel(custom_output_text="FastA2A says hello."), name="fasta")
    async with listening(lambda url: agent_to_a2a(fasta, url=url)) as url:
        server = mock_server(delegate("fasta"), "done", sub_agents=[RemoteAgent("fasta", url)])
        async with server.lifespan():
            await delegated(server, stream=stream)
            assert await result(server) == "FastA2A says hello."


@pytest.mark.parametrize("version", ["1.0", "0.3"])
@pytest.mark.parametrize("streams", [True, False])
async def test_official_server(version: str, streams: bool) -> None:
    helper = Helper()
    async with listening(lambda url: sdk_app(helper, url, version, streams=streams)) as url:
        server = mock_server(delegate("helper", "Help."), "done", sub_agents=[RemoteAgent("helper", url)])
        async with server.lifespan():
            answer = await delegated(server)
            assert await result(server) == "The first half and the second."
            told = "".join(step.get("delta", "") for step in progress(answer))
            assert told == "The first half and the second."
            assert helper.asked[0].endswith("Help.")
            assert "user: x" in helper.asked[0]


@pytest.mark.parametrize(
    ("task", "failure"),
    [
        ("fail", "it failed while it worked on the task"),
        ("ask", "it wants to know more before it goes on: Which one?"),
    ],
)
async def test_official_server_gives_no_answer(task: str, failure: str) -> None:
    helper = Helper()
    async with listening(lambda url: sdk_app(helper, url, "1.0", streams=True)) as url:
        server = mock_server(delegate("helper", task), "done", sub_agents=[RemoteAgent("helper", url)])
        async with server.lifespan():
            answer = await delegated(server)
            assert progress(answer)[-1]["status"] == "failed"
            assert await result(server) == f"[Delegation failed: agent helper: {failure}]"


async def test_official_server_is_told_when_nobody_waits_any_more() -> None:
    helper = Helper()
    async with listening(lambda url: sdk_app(helper, url, "1.0", streams=True)) as url:
        agent = RemoteAgent("helper", url, timeout=0.5)
        server = mock_server(delegate("helper", "wait"), "done", sub_agents=[agent])
        async with server.lifespan():
            await delegated(server)
            assert "no answer within 0.5 seconds" in await result(server)
            with anyio.fail_after(5):
                await helper.canceled.wait()
