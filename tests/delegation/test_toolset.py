"""Other agents as tools: what the model is offered, what it is told, and what the other side gets."""

import asyncio
import json
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import Agent, DelegationToolset, LocalMemory, RemoteAgent, Settings
from pais_lite.agent import RunRequest
from pais_lite.errors import ConfigurationError
from pais_lite.events import Finished, Progress, RunEvent
from pais_lite.models.mock import MockScript
from tests.support.agents import delegate
from tests.support.asgi import ask
from tests.support.endpoint import Endpoint, ModelCall, Script, model_endpoint
from tests.support.serving import mock_server
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

CARD = {
    "name": "clerk",
    "description": "Files things.",
    "capabilities": {"extensions": [{"uri": "urn:pais:task-delegation"}]},
}


def with_card(script: Script, card: Any = CARD) -> Script:
    async def serve(request: ModelCall) -> None:
        if request.path == "/.well-known/agent-card.json" and card is not None:
            await request.respond(200, card)
        elif request.path == "/v1/models":
            await request.respond(200, {"object": "list", "data": [{"id": "plain-model"}]})
        elif request.path == "/v1/chat/completions":
            await script(request)
        else:
            await request.respond(404, {"detail": "Not Found"})

    return serve


async def files(request: ModelCall) -> None:
    await request.complete("It is filed.")


def asked(endpoint: Endpoint) -> list[ModelCall]:
    return [call for call in endpoint.calls if call.path == "/v1/chat/completions"]


def agent_with(*says: Any, peers: dict[str, str] | None = None, **fields: Any) -> Agent:
    agents = fields.pop("agents", None) or [RemoteAgent(name, url) for name, url in (peers or {}).items()]
    settings = Settings.load({}, env_file=None, debug_mock_responses=list(says), **fields)
    memory = LocalMemory()
    return Agent.serving(PydanticAgent(), name="boss", memory=memory, settings=settings, sub_agents=agents)


async def run(agent: Agent, prompt: str = "File it!", **fields: Any) -> list[RunEvent]:
    with anyio.fail_after(20):
        request = RunRequest(prompt=prompt, session_id="s", **fields)
        return [event async for event in agent.run_events(request)]


async def told(agent: Agent) -> str:
    """Return what the model was told that the last delegation brought."""
    events = await agent.memory.get_events("s", event_types=["delegation_response"])
    return str(events[-1].content["result"])


async def test_tool_is_described_from_the_card() -> None:
    async with model_endpoint(with_card(files)) as clerk:
        agent = agent_with("ok", peers={"my.clerk": clerk.url})
        (tool,) = await agent.tool_definitions()
        await agent.close()
    assert tool["function"]["name"] == "delegate_to_my_clerk"
    assert "my.clerk" in tool["function"]["description"]
    assert "Files things." in tool["function"]["description"]
    assert tool["function"]["parameters"]["required"] == ["task"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("card", "role"), [(CARD, "task-delegation"), (None, "user")])
async def test_what_was_said_goes_along_and_then_the_task(stream: bool, card: Any, role: str) -> None:
    async with model_endpoint(with_card(files, card)) as clerk:
        agent = agent_with(
            delegate("clerk", "file this"), "Done.", peers={"clerk": clerk.url}, memory_context_limit=3
        )
        await run(agent, "question 0", stream=stream)
        events = await run(agent, "question 1", stream=stream)
        await agent.close()
    assert isinstance(events[-1], Finished)
    assert events[-1].output == "Done."
    body = asked(clerk)[-1].body
    assert [(message["role"], message["content"]) for message in body["messages"]] == [
        ("user", "question 0"),
        ("assistant", "Done."),
        ("user", "question 1"),
        (role, "file this"),
    ]
    assert body["stream"] is stream
    assert body["model"] == ("clerk" if card else "plain-model")
    assert await told(agent) == "It is filed."


async def test_tokens_of_the_other_agent_are_in_the_usage() -> None:
    async with model_endpoint(with_card(files)) as clerk:
        agent = agent_with(delegate("clerk"), "Done.", peers={"clerk": clerk.url})
        with_delegation = (await run(agent))[-1]
        await agent.close()
    alone = (
        await run(agent_with(delegate("clerk"), "Done.", agents=[RemoteAgent("clerk", "http://127.0.0.1:9")]))
    )[-1]
    assert isinstance(with_delegation, Finished)
    assert with_delegation.usage.output_tokens >= 7
    assert not isinstance(alone, Finished) or alone.usage.output_tokens < with_delegation.usage.output_tokens


async def refuse(request: ModelCall) -> None:
    await request.respond(
        500, {"error": {"message": "at 10.1.2.3: KeyError: 's3cret'", "code": "internal_error"}}
    )


async def reject(request: ModelCall) -> None:
    await request.respond(401, {"error": {"message": "bad key s3cret"}})


async def break_off(request: ModelCall) -> None:
    await request.start_stream()
    await request.text("Once upon")
    await request.hang_up()


async def stop_early(request: ModelCall) -> None:
    await request.start_stream()
    await request.text("Once upon")
    await request.raw(b"")


async def fail_late(request: ModelCall) -> None:
    await request.start_stream()
    await request.text("Once upon")
    await request.event({"error": {"message": "10.1.2.3 s3cret", "code": "run_timeout"}})
    await request.event("[DONE]")
    await request.raw(b"")


async def talk_nonsense(request: ModelCall) -> None:
    await request.respond(200, {"s3cret": "10.1.2.3"})


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (refuse, "it answered with status 500 (internal_error)"),
        (reject, "it refused our key"),
        (break_off, "it could not be reached, or broke off"),
        (stop_early, "it broke off in the middle of its answer"),
        (fail_late, "it failed while it worked on the task (run_timeout)"),
        (talk_nonsense, "its answer could not be read"),
    ],
)
async def test_failure_is_told_to_the_model_in_our_words_and_the_run_goes_on(
    script: Script, reason: str
) -> None:
    async with model_endpoint(with_card(script)) as clerk:
        agent = agent_with(delegate("clerk"), "Then not.", peers={"clerk": clerk.url})
        events = await run(agent)
        await agent.close()
    assert isinstance(events[-1], Finished)
    assert events[-1].output == "Then not."
    assert await told(agent) == f"[Delegation failed: agent clerk: {reason}]"
    statuses = [event.status for event in events if isinstance(event, Progress)]
    assert (statuses[0], statuses[-1]) == ("started", "failed")


async def silence(request: ModelCall) -> None:
    await request.closed()


@pytest.mark.parametrize("bound", ["agent", "run"])
async def test_agent_that_is_silent_is_not_waited_for_longer_than_allowed(bound: str) -> None:
    async with model_endpoint(with_card(silence)) as clerk:
        timeout, run_timeout = (0.3, 300) if bound == "agent" else (60, 0.9)
        agents = [RemoteAgent("clerk", clerk.url, timeout=timeout)]
        agent = agent_with(delegate("clerk"), "Then not.", agents=agents, run_timeout=run_timeout)
        events = await run(agent)
        assert "it had no answer within" in await told(agent)
        # Whoever waits no longer hangs up, and so the other side stops, too.
        await until(lambda: clerk.open_connections <= 1)
        await agent.close()
    if bound == "agent":
        assert isinstance(events[-1], Finished)


async def test_agent_that_is_away_is_left_out_and_one_that_comes_back_is_found() -> None:
    state = {"up": False}

    async def script(request: ModelCall) -> None:
        if state["up"]:
            await with_card(files)(request)
        else:
            await request.respond(503, {"error": {"message": "draining"}})

    async with model_endpoint(script) as clerk, model_endpoint(with_card(files)) as other:
        agent = agent_with("Hello.", peers={"clerk": clerk.url, "other": other.url})

        async def names() -> list[str]:
            return [tool["function"]["name"] for tool in await agent.tool_definitions()]

        assert await names() == ["delegate_to_other"]
        assert isinstance((await run(agent))[-1], Finished)
        state["up"] = True

        async def is_back() -> bool:
            return await names() == ["delegate_to_clerk", "delegate_to_other"]

        await until(is_back)
        await agent.close()


async def test_agent_that_never_answers_delays_the_first_run_only_and_no_card() -> None:
    async def script(request: ModelCall) -> None:
        await request.closed()

    async with model_endpoint(script) as black_hole:
        agents = [RemoteAgent("hole", black_hole.url, discovery_timeout=1.5)]
        server = mock_server("Hello.", sub_agents=agents)
        with anyio.fail_after(1.2):
            answer = await ask(server, "GET", "/.well-known/agent-card.json")
        assert [skill["tags"] for skill in answer.json()["skills"]] == [["agent"]]
        assert isinstance((await run(server.agent))[-1], Finished)
        with anyio.fail_after(1.2):
            for _ in range(3):
                assert isinstance((await run(server.agent))[-1], Finished)
        await server.agent.close()


async def test_agents_that_know_each_other_find_each_other_at_once() -> None:
    """Neither's card waits for the other's."""
    servers: dict[str, Any] = {}

    def card_of(name: str) -> Script:
        async def script(request: ModelCall) -> None:
            answer = await ask(servers[name], "GET", request.path)
            await request.respond(answer.status, answer.json())

        return script

    async with model_endpoint(card_of("a")) as a, model_endpoint(card_of("b")) as b:
        for name, other, url in [("a", "b", b.url), ("b", "a", a.url)]:
            servers[name] = mock_server("x", agent_name=name, sub_agents=[RemoteAgent(other, url)])
        with anyio.fail_after(5):
            for name in servers:
                assert len(await servers[name].agent.tool_definitions()) == 1
        for server in servers.values():
            await server.agent.close()


async def test_agent_that_ran_out_of_steps_is_not_asked_twice_in_one_run() -> None:
    async def script(request: ModelCall) -> None:
        await request.respond(500, {"error": {"message": "no", "code": "max_steps_exceeded"}})

    async with model_endpoint(with_card(script)) as clerk:
        agent = agent_with(delegate("clerk"), delegate("clerk"), "Then not.", peers={"clerk": clerk.url})
        assert isinstance((await run(agent))[-1], Finished)
        assert "not asked again" in await told(agent)
        assert len(asked(clerk)) == 1
        await run(agent)
        assert len(asked(clerk)) == 2
        await agent.close()


async def test_agent_that_is_in_the_chain_is_not_called() -> None:
    async with model_endpoint(with_card(files)) as clerk:
        agent = agent_with(delegate("clerk"), "Then not.", peers={"clerk": clerk.url})
        await run(agent, chain=("clerk",))
        assert await told(agent) == (
            "[Delegation failed: agent clerk: clerk handed this task on itself, so it cannot be given back to it]"
        )
        await run(agent, chain=("1", "2", "3", "4", "5"))
        assert "more than 5 times" in await told(agent)
        await agent.close()
    assert asked(clerk) == []


async def test_cancelled_run_hangs_up_on_the_other_agent() -> None:
    begun = asyncio.Event()

    async def script(request: ModelCall) -> None:
        begun.set()
        await request.closed()

    async with model_endpoint(with_card(script)) as clerk:
        agent = agent_with(delegate("clerk"), "Done.", peers={"clerk": clerk.url})
        running = agent.start(RunRequest(prompt="x", session_id="s"))
        with anyio.fail_after(10):
            await begun.wait()
            running.cancel()
            await running.ending()
        await until(lambda: clerk.open_connections <= 1)
        await agent.close()


async def test_agent_made_in_code_delegates_and_closes_what_it_was_given() -> None:
    async with model_endpoint(with_card(files)) as clerk:
        worker = RemoteAgent("clerk", clerk.url)
        script = MockScript([delegate("clerk", "file"), "Done."]).new_model()
        agent = Agent("boss", script, "Be brief.", "A boss", LocalMemory(), [worker], [])
        with anyio.fail_after(10):
            assert [text async for text in agent.process_message("go", session_id="s")] == ["Done."]
        assert await told(agent) == "It is filed."
        card = await agent.get_agent_card("http://h")
        assert [skill.name for skill in card.skills] == ["delegate_to_clerk"]
        await agent.close()
        await until(lambda: not clerk.open_connections)


async def test_toolset_works_in_any_pydantic_ai_agent() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) > 1:
            return ModelResponse(parts=[TextPart("Done.")])
        (tool,) = info.function_tools
        return ModelResponse(parts=[ToolCallPart(tool.name, json.dumps({"task": "file"}))])

    async with model_endpoint(with_card(files)) as clerk:
        toolset = DelegationToolset([RemoteAgent("clerk", clerk.url)])
        agent = PydanticAgent(FunctionModel(answer), toolsets=[toolset])
        with anyio.fail_after(10):
            result = await agent.run("go")
        await toolset.aclose()
    assert result.output == "Done."
    assert "It is filed." in str(result.all_messages())


async def test_toolset_of_a_served_agent_is_remembered_as_delegation_too() -> None:
    async with model_endpoint(with_card(files)) as clerk:
        toolset = DelegationToolset([RemoteAgent("clerk", clerk.url)])
        server = mock_server(delegate("clerk"), "Done.", agent=PydanticAgent(toolsets=[toolset]))
        await run(server.agent, chain=("x",))
        assert await told(server.agent) == "It is filed."
        await server.agent.close()
        await toolset.aclose()
    assert asked(clerk)[0].headers["x-delegation-chain"] == "x,agent"


def test_names_that_clash_are_found_at_start() -> None:
    own = PydanticAgent()

    @own.tool_plain
    def delegate_to_clerk(task: str) -> str:
        return task

    with pytest.raises(ConfigurationError, match="delegate_to_clerk"):
        mock_server("x", agent=own, agent_sub_agents="clerk:http://h")
    with pytest.raises(ConfigurationError, match="same name"):
        mock_server("x", agent_sub_agents="a.b:http://h,a_b:http://h")
    for url in ("ftp://h", "http://", "http://[h", "http://h:65536"):
        with pytest.raises(ConfigurationError, match="http://"):
            RemoteAgent("x", url)
