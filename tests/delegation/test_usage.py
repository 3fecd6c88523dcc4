"""What delegations cost, in the usage of the run that delegated: summed, told by agent, and also when something fails."""

import json
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent as PydanticAgent

from pais_lite import AgentServer, RemoteAgent, serve
from pais_lite.delegation.stream import AnswerReader, read_usage
from pais_lite.events import Finished, Tokens, Usage
from tests.delegation.test_toolset import agent_with, files, run, told, with_card
from tests.support.agents import call, delegate
from tests.support.asgi import Answer, ask, chat
from tests.support.endpoint import USAGE, ModelCall, Script, chunk, model_endpoint
from tests.support.serving import mock_agents

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def usage_of(answer: Answer) -> Any:
    """Return the usage that an answer told, wherever it is."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        (usage,) = [entry["usage"] for entry in answer.chunks() if "usage" in entry]
        return usage
    return answer.json()["usage"]


def sums(usage: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Return the tokens by agent, having seen that they add up."""
    agents = {
        entry["agent"]: (entry["prompt_tokens"], entry["completion_tokens"]) for entry in usage["agents"]
    }
    assert sum(tokens[0] for tokens in agents.values()) == usage["prompt_tokens"]
    assert sum(tokens[1] for tokens in agents.values()) == usage["completion_tokens"]
    assert all(entry["total_tokens"] == sum(agents[entry["agent"]]) for entry in usage["agents"])
    return agents


def boss(*says: Any, clerk: str, **fields: Any) -> AgentServer:
    agent = PydanticAgent("test", name="boss")

    @agent.tool_plain
    def blow_up() -> str:
        raise OSError("bang")

    return serve(agent, debug_mock_responses=list(says), sub_agents=[RemoteAgent("clerk", clerk)], **fields)


@pytest.mark.parametrize("fields", [{}, STREAMED])
async def test_usage_is_told_by_agent(fields: dict[str, Any]) -> None:
    async with model_endpoint(with_card(files)) as clerk:
        server = boss(delegate("clerk"), delegate("clerk"), "Done.", clerk=clerk.url)
        async with server.lifespan():
            agents = sums(usage_of(await ask(server, "POST", CHAT, chat(**fields))))
    assert list(agents) == ["boss", "clerk"]
    assert agents["clerk"] == (2 * USAGE["prompt_tokens"], 2 * USAGE["completion_tokens"])
    assert all(tokens > 0 for tokens in agents["boss"])


async def test_an_agent_alone_has_no_details() -> None:
    async with model_endpoint(with_card(files)) as clerk:
        server = boss("Done.", clerk=clerk.url)
        async with server.lifespan():
            assert "agents" not in usage_of(await ask(server, "POST", CHAT, chat()))


async def fails_whole(request: ModelCall) -> None:
    await request.respond(502, {"error": {"message": "no", "code": "model_behavior"}, "usage": USAGE})


async def fails_late(request: ModelCall) -> None:
    if not request.body["stream"]:
        await fails_whole(request)
        return
    await request.start_stream()
    await request.text("Half ")
    await request.event({**chunk({}), "choices": [], "usage": USAGE})
    await request.event({"error": {"message": "no", "type": "server_error", "param": None, "code": "x"}})
    await request.event("[DONE]")
    await request.hang_up()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("script", [fails_whole, fails_late])
async def test_a_delegation_that_failed_has_its_price(script: Script, stream: bool) -> None:
    async with model_endpoint(with_card(script)) as clerk:
        agent = agent_with(delegate("clerk"), "Done.", peers={"clerk": clerk.url})
        ended = (await run(agent, stream=stream))[-1]
        assert (await told(agent)).startswith("[Delegation failed: agent clerk")
        await agent.close()
    assert isinstance(ended, Finished)
    assert dict(ended.usage.agents)["clerk"] == Tokens(input_tokens=11, output_tokens=7)


@pytest.mark.parametrize("fields", [{}, STREAMED])
async def test_a_run_that_fails_tells_what_it_has_used(fields: dict[str, Any]) -> None:
    async with model_endpoint(with_card(files)) as clerk:
        server = boss(delegate("clerk"), call(("blow_up", {})), clerk=clerk.url)
        async with server.lifespan():
            answer = await ask(server, "POST", CHAT, chat(**fields))
    agents = sums(usage_of(answer))
    assert agents["clerk"] == (USAGE["prompt_tokens"], USAGE["completion_tokens"])
    if fields:
        *_, usage, error = answer.chunks()
        assert usage["choices"] == []
        # Nothing but the error is in its frame: some clients look for one only there.
        assert list(error) == ["error"]
        assert answer.frames()[-1] == "[DONE]"
    else:
        assert answer.status == 500
        error = answer.json()
    assert error["error"]["code"] == "run_failed"


async def test_a_stream_that_fails_tells_usage_only_to_those_who_asked() -> None:
    async with model_endpoint(with_card(files)) as clerk:
        server = boss(delegate("clerk"), call(("blow_up", {})), clerk=clerk.url)
        async with server.lifespan():
            answer = await ask(server, "POST", CHAT, chat(stream=True))
    assert not any("usage" in entry for entry in answer.chunks())


async def test_an_agent_that_is_given_up_is_paid_for_all_the_same() -> None:
    turn = call(("delegate_to_clerk", {"task": "do it"}), ("blow_up_slowly", {}))
    agent = PydanticAgent("test", name="boss")
    filed = anyio.Event()

    async def files_and_tells(request: ModelCall) -> None:
        await files(request)
        filed.set()

    @agent.tool_plain
    async def blow_up_slowly() -> str:
        await filed.wait()
        # What was filed is read by the run meanwhile.
        await anyio.sleep(0.2)
        raise OSError("bang")

    async with model_endpoint(with_card(files_and_tells)) as clerk:
        server = serve(agent, debug_mock_responses=[turn], sub_agents=[RemoteAgent("clerk", clerk.url)])
        async with server.lifespan():
            answer = await ask(server, "POST", CHAT, chat())
    assert sums(usage_of(answer))["clerk"] == (11, 7)


async def test_usage_comes_up_from_any_depth() -> None:
    server = mock_agents(
        {
            "editor": [delegate("writer"), "Edited."],
            "writer": [delegate("researcher"), "Written."],
            "researcher": ["Found."],
        },
        sub_agents={"editor": ["writer"], "writer": ["researcher"]},
    )
    async with server.lifespan():
        answer = await ask(server, "POST", CHAT, {**chat(), "model": "editor"})
    assert answer.json()["choices"][0]["message"]["content"] == "Edited."
    assert list(sums(usage_of(answer))) == ["editor", "writer", "researcher"]


async def waits(request: ModelCall) -> None:
    await request.call_tools(("x", "burn", {}), content="I would burn it.")


@pytest.mark.parametrize("stream", [True, False])
async def test_an_agent_that_waits_for_approval_has_failed_the_one_who_asked(stream: bool) -> None:
    async with model_endpoint(with_card(waits)) as clerk:
        agent = agent_with(delegate("clerk"), "Done.", peers={"clerk": clerk.url})
        ended = (await run(agent, stream=stream))[-1]
        failure = await told(agent)
        await agent.close()
    assert failure.startswith("[Delegation failed: agent clerk: it waits for an approval")
    assert isinstance(ended, Finished)
    assert dict(ended.usage.agents)["clerk"] == Tokens(input_tokens=11, output_tokens=7)


def entry(agent: str, prompt: int, completion: int) -> dict[str, Any]:
    return {"agent": agent, "prompt_tokens": prompt, "completion_tokens": completion}


def test_details_are_believed_as_far_as_they_add_up() -> None:
    def read(agents: Any) -> Usage:
        told = {"usage": {"prompt_tokens": 5, "completion_tokens": 3, "agents": agents}}
        reader = AnswerReader()
        reader.feed(b"data: " + json.dumps(told).encode() + b"\n")
        assert reader.usage == read_usage(json.dumps(told).encode())
        return reader.usage

    a, b = Tokens(input_tokens=4, output_tokens=2), Tokens(input_tokens=1, output_tokens=1)
    assert read([entry("a", 4, 2), entry("b", 1, 1)]).agents == (("a", a), ("b", b))
    for unusable in (
        [entry("a", 4, 2)],
        [entry("a", 4, 2), entry("a", 1, 1)],
        [entry("a", 5, 3), {"agent": "b"}],
        [{"prompt_tokens": 5, "completion_tokens": 3}],
        {"a": 1},
        "a",
        None,
    ):
        usage = read(unusable)
        assert (usage.input_tokens, usage.output_tokens, usage.agents) == (5, 3, ())


def test_usage_of_the_same_agent_is_summed() -> None:
    one = Usage(input_tokens=1, output_tokens=2).of("a")
    assert one.of("b") == one
    both = one + Usage(input_tokens=3, output_tokens=4, cached_tokens=1).of("b") + one
    assert both.agents == (
        ("a", Tokens(input_tokens=2, output_tokens=4)),
        ("b", Tokens(input_tokens=3, output_tokens=4, cached_tokens=1)),
    )
    assert (both.input_tokens, both.output_tokens, both.cached_tokens) == (5, 8, 1)
