"""One run: memory in, Pydantic AI at work, events out."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent as PydanticAgent
from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ThinkingPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import Agent, AgentDeps, LocalMemory, Settings
from pais_lite.agent import RunRequest
from pais_lite.errors import (
    ConfigurationError,
    InvalidRequest,
    MaxStepsExceeded,
    MockResponsesExhausted,
    RunCancelled,
    RunFailed,
    RunTimedOut,
)
from pais_lite.events import Failed, Finished, Progress, RunEvent, TextDelta, ThinkingDelta
from tests.support.sockets import until

pytestmark = pytest.mark.anyio


def call(tool: str, /, **arguments: Any) -> dict[str, Any]:
    return {"tool_calls": [{"id": f"call_{tool}", "name": tool, "arguments": arguments}]}


def wrap(agent: PydanticAgent[Any, Any], *responses: Any, **settings: Any) -> Agent:
    loaded = Settings.load({}, env_file=None, debug_mock_responses=list(responses) or None, **settings)
    return Agent.serving(agent, name="test", memory=LocalMemory(), settings=loaded)


def greeter() -> PydanticAgent[Any, Any]:
    agent = PydanticAgent(name="greeter")

    @agent.tool_plain
    def greet(name: str) -> str:
        return f"Hello, {name}!"

    return agent


async def events_of(agent: Agent, prompt: str = "hi", **fields: Any) -> list[RunEvent]:
    with anyio.fail_after(10):
        return [
            event async for event in agent.run_events(RunRequest(prompt=prompt, session_id="s", **fields))
        ]


def text_of(events: list[RunEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def stored(agent: Agent) -> list[tuple[str, Any]]:
    return [(event.event_type, event.content) for event in await agent.memory.get_events("s")]


async def test_text_arrives_in_pieces_and_the_end_holds_all_of_it() -> None:
    events = await events_of(wrap(greeter(), "Hello, this is the answer."))
    assert len([event for event in events if isinstance(event, TextDelta)]) > 2
    assert text_of(events) == "Hello, this is the answer."
    assert isinstance(events[-1], Finished)
    assert events[-1].output == "Hello, this is the answer."
    assert events[-1].usage.output_tokens > 0


@pytest.mark.parametrize("stream", [True, False])
async def test_streamed_or_not_a_run_stores_the_same_events_in_the_order_they_happened(stream: bool) -> None:
    agent = wrap(greeter(), call("greet", name="World"), "Done.")
    await events_of(agent, stream=stream)
    assert await stored(agent) == [
        ("user_message", "hi"),
        ("tool_call", {"tool": "greet", "call_id": "call_greet", "arguments": {"name": "World"}}),
        ("tool_result", {"tool": "greet", "call_id": "call_greet", "result": "Hello, World!"}),
        ("agent_response", "Done."),
    ]


async def test_a_tool_says_when_it_starts_and_when_it_is_done() -> None:
    events = await events_of(wrap(greeter(), call("greet", name="World"), "Done."))
    started, completed = (event for event in events if isinstance(event, Progress))
    assert (started.target, started.status, started.step, started.max_steps) == ("greet", "started", 1, 5)
    assert (started.arguments, completed.result) == ({"name": "World"}, "Hello, World!")
    assert (completed.target, completed.status, completed.call_id) == ("greet", "completed", "call_greet")
    assert completed.duration_ms is not None


async def test_text_before_a_tool_call_is_streamed_but_is_no_part_of_the_output() -> None:
    entry = {"content": "Let me look. ", **call("greet", name="World")}
    events = await events_of(wrap(greeter(), entry, "Final."))
    assert text_of(events) == "Let me look. Final."
    assert isinstance(events[-1], Finished)
    assert events[-1].output == "Final."


async def test_the_user_is_remembered_before_the_model_is_asked_and_tools_as_they_happen() -> None:
    seen: list[list[str]] = []
    agent = PydanticAgent(deps_type=AgentDeps)

    @agent.tool
    async def look(ctx: RunContext[AgentDeps]) -> str:
        seen.append([event.event_type for event in await ctx.deps.memory.get_events(ctx.deps.session_id)])
        return "ok"

    await events_of(wrap(agent, call("look"), "Done."))
    assert seen == [["user_message", "tool_call"]]


async def test_memory_is_the_history_of_a_session() -> None:
    asked: list[list[ModelMessage]] = []

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append(list(messages))
        return ModelResponse(parts=[TextPart(f"answer {len(asked)}")])

    agent = wrap(PydanticAgent(FunctionModel(answer)))
    for prompt in ("one", "two", "three"):
        await events_of(agent, prompt, stream=False)
    assert len(asked[2]) == 5
    assert [part.content for message in asked[2] for part in message.parts] == [  # type: ignore[union-attr]
        "one",
        "answer 1",
        "two",
        "answer 2",
        "three",
    ]


async def test_thoughts_are_told_apart_from_text() -> None:
    from pydantic_ai.models.function import DeltaThinkingCalls, DeltaThinkingPart

    async def think(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaThinkingCalls]:
        yield {0: DeltaThinkingPart(content="hm")}
        yield {0: DeltaThinkingPart(content="m")}
        yield "Yes."

    events = await events_of(wrap(PydanticAgent(FunctionModel(stream_function=think))))
    assert "".join(event.text for event in events if isinstance(event, ThinkingDelta)) == "hmm"
    assert text_of(events) == "Yes."


class City(BaseModel):
    name: str
    population: int


@pytest.mark.parametrize("stream", [True, False])
async def test_a_structured_output_is_its_json(stream: bool) -> None:
    agent = wrap(PydanticAgent(output_type=City), call("final_result", name="Oslo", population=7))
    events = await events_of(agent, stream=stream)
    assert isinstance(events[-1], Finished)
    assert City.model_validate_json(events[-1].output) == City(name="Oslo", population=7)
    assert text_of(events) == (events[-1].output if stream else "")
    assert (await stored(agent))[-1] == ("agent_response", events[-1].output)


async def test_an_answer_in_text_after_a_refused_output_of_another_kind_is_told_once() -> None:
    agent: PydanticAgent[object, City | str] = PydanticAgent(name="clerk", output_type=[City, str])

    @agent.output_validator
    def only_text(output: City | str) -> City | str:
        if isinstance(output, City):
            raise ModelRetry("Say it in words.")
        return output

    events = await events_of(wrap(agent, call("final_result", name="Oslo", population=7), "It is Oslo."))
    assert text_of(events) == "It is Oslo."


async def test_a_tool_that_blows_up_fails_the_run_and_says_nothing_of_its_insides() -> None:
    agent = PydanticAgent()

    @agent.tool_plain
    def explode() -> str:
        raise ValueError("the password is hunter2")

    wrapped = wrap(agent, call("explode"), "never")
    events = await events_of(wrapped)
    assert [event.status for event in events if isinstance(event, Progress)] == ["started", "failed"]
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, RunFailed)
    assert "hunter2" not in events[-1].error.message
    assert (await stored(wrapped))[-1] == ("error", events[-1].error.message)


async def test_an_agent_that_never_comes_to_an_end_is_stopped_and_its_events_are_kept() -> None:
    agent = wrap(greeter(), *[call("greet", name=str(n)) for n in range(9)], agentic_loop_max_steps=3)
    events = await events_of(agent)
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, MaxStepsExceeded)
    assert "http" not in events[-1].error.message
    assert len([kind for kind, _ in await stored(agent) if kind == "tool_result"]) == 3
    assert (await stored(agent))[-1][0] == "error"


async def test_a_mock_that_runs_out_says_so() -> None:
    events = await events_of(wrap(greeter(), call("greet", name="x")))
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, MockResponsesExhausted)


def sleeper(started: asyncio.Event) -> PydanticAgent[Any, Any]:
    agent = PydanticAgent()

    @agent.tool_plain
    async def sleep() -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    return agent


async def test_a_cancelled_run_ends_at_once_and_leaves_an_event_that_says_why() -> None:
    started = asyncio.Event()
    agent = wrap(sleeper(started), call("sleep"), "never")
    run = agent.start(RunRequest(prompt="hi", session_id="s"))
    with anyio.fail_after(5):
        await started.wait()
        run.cancel(RunCancelled("the client left"))
        ending = await run.ending()
    assert isinstance(ending, Failed)
    assert isinstance(ending.error, RunCancelled)
    assert (await stored(agent))[-1] == ("error", "the client left")


async def test_a_run_that_takes_too_long_is_ended() -> None:
    agent = wrap(sleeper(asyncio.Event()), call("sleep"), "never", run_timeout=0.1)
    events = await events_of(agent)
    assert isinstance(events[-1], Failed)
    assert isinstance(events[-1].error, RunTimedOut)


async def test_runs_that_are_cancelled_together_say_no_more_while_they_wait_for_their_end() -> None:
    said = 0

    async def chatter(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        nonlocal said
        while True:
            said += 1
            yield "word "
            await asyncio.sleep(0)

    agent = wrap(PydanticAgent(FunctionModel(stream_function=chatter)))
    runs = [agent.start(RunRequest(prompt="hi", session_id=f"s{number}")) for number in range(10)]
    await until(lambda: all(run.log.length > 10 for run in runs))
    before = said
    for run in runs:
        run.cancel(RunCancelled("all of you"))
    with anyio.fail_after(10):
        for run in runs:
            await run.ending()
    # One that each had begun to say, and one that it could not hand on.
    assert said - before <= 2 * len(runs)


async def test_giving_up_the_iteration_cancels_the_run() -> None:
    started = asyncio.Event()
    agent = wrap(sleeper(started), call("sleep"), "never")
    iteration = agent.run_events(RunRequest(prompt="hi", session_id="s"))
    with anyio.fail_after(5):
        assert isinstance(await anext(iteration), Progress)
        await started.wait()
        await iteration.aclose()  # type: ignore[attr-defined]
        await agent.close()
    assert (await stored(agent))[-1][0] == "error"


async def test_a_slow_reader_holds_the_run_back_instead_of_filling_memory() -> None:
    written = 0

    async def chatter(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        nonlocal written
        for number in range(5000):
            written = number + 1
            yield "x" * 100

    agent = wrap(PydanticAgent(FunctionModel(stream_function=chatter)))
    run = agent.start(RunRequest(prompt="hi", session_id="s"))
    reader = run.log.reader()
    with anyio.fail_after(20):
        first = await reader.take()
        await anyio.wait_all_tasks_blocked()
        assert len(first) < written < 1000
        reader.leave()
        assert isinstance(await run.ending(), Finished)
    assert written == 5000


async def test_fifty_runs_at_once_each_start_the_mock_at_its_first_entry() -> None:
    agent = wrap(greeter(), call("greet", name="x"), "Done.")
    runs = [agent.start(RunRequest(prompt="hi", session_id=f"s{n}", stream=bool(n % 2))) for n in range(50)]
    with anyio.fail_after(20):
        endings = [await run.ending() for run in runs]
    assert {ending.output for ending in endings if isinstance(ending, Finished)} == {"Done."}
    assert not [ending for ending in endings if isinstance(ending, Failed)]


@dataclass
class Tenant(AgentDeps):
    region: str = "north"


@dataclass
class Needy(AgentDeps):
    region: str


async def test_an_agent_may_bring_its_own_kind_of_deps() -> None:
    agent = PydanticAgent(deps_type=Tenant)

    @agent.tool
    def where(ctx: RunContext[Tenant]) -> str:
        return f"{ctx.deps.region}/{ctx.deps.session_id}"

    wrapped = wrap(agent, call("where"), "Done.")
    await events_of(wrapped)
    assert (await stored(wrapped))[2][1]["result"] == "north/s"


async def test_deps_that_cannot_be_made_are_an_error_at_start() -> None:
    with pytest.raises(ConfigurationError, match="Needy"):
        wrap(PydanticAgent(deps_type=Needy), "x")


async def test_no_model_is_an_error_at_start_that_names_the_variables() -> None:
    with pytest.raises(ConfigurationError, match=r"MODEL_API_URL and MODEL_NAME.*DEBUG_MOCK_RESPONSES"):
        wrap(PydanticAgent())


async def test_the_served_agent_stays_as_it_was() -> None:
    agent = greeter()
    before = dict(vars(agent))
    for reply in ("one", "two"):
        events = await events_of(wrap(agent, reply))
        assert text_of(events) == reply
    assert dict(vars(agent)) == before
    assert agent.model is None


async def test_process_message_yields_the_answer_whole_or_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG_MOCK_RESPONSES", '["The answer is 42."]')
    agent = Agent("oracle")
    assert [piece async for piece in agent.process_message("What is it?")] == ["The answer is 42."]
    pieces = [piece async for piece in agent.process_message("What is it?", session_id="s", stream=True)]
    assert len(pieces) > 1
    assert "".join(pieces) == "The answer is 42."
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"}]
    assert [piece async for piece in agent.process_message(messages)] == ["The answer is 42."]
    with pytest.raises(InvalidRequest):
        await anext(agent.process_message([{"role": "assistant", "content": "me"}]))
    await agent.close()


async def test_the_card_lists_the_tools_as_skills() -> None:
    card = await wrap(greeter(), "x").get_agent_card("http://example.com")
    assert (card.name, card.url) == ("test", "http://example.com")
    assert [skill.name for skill in card.skills] == ["greet"]


async def test_the_model_given_to_an_agent_wins_over_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG_MOCK_RESPONSES", '["mock"]')

    async def own(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse(parts=[ThinkingPart("hm"), TextPart("own")])

    agent = Agent("oracle", model=FunctionModel(own))
    assert [piece async for piece in agent.process_message("?")] == ["own"]
    await agent.close()


async def test_a_run_that_is_cancelled_before_its_first_step_has_an_end_all_the_same() -> None:
    agent = wrap(greeter(), "never")
    run = agent.start(RunRequest(prompt="hi", session_id="s"))
    run.cancel(RunCancelled("at once"))
    with anyio.fail_after(5):
        ending = await run.ending()
        assert list(await run.log.reader().take()) == [ending]
    assert isinstance(ending, Failed)
    assert ending.error.message == "at once"
