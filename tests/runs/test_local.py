"""What `LocalRuns` holds of runs that have ended, counted in objects, and how much of it."""

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import anyio
import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import BinaryContent, ModelMessage, ModelRequest, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite.agent import Run, RunRequest
from pais_lite.agent.driver import RunDriver
from pais_lite.agent.event_log import EventLog, LogReader
from pais_lite.agent.request import ToolResult
from pais_lite.errors import ModelMisbehaved
from pais_lite.events import Failed, Finished
from pais_lite.memory import LocalMemory
from pais_lite.runs import NewRun, Runs, local
from pais_lite.server.served_agent import ServedAgent
from pais_lite.settings import Settings
from tests.support.replicas import TIMEOUT, finish, nothing
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

# What a run works with, and nobody needs of one that has ended.
_OF_A_RUN = (RunRequest, RunDriver, Run, LogReader, BinaryContent, ModelRequest, ModelResponse)
_ANSWER = "word " * 10_000
_COUNTED = frozenset((*_OF_A_RUN, EventLog))


async def _speak(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    """Do what the instructions say."""
    yield "so far "
    match info.instructions:
        case "raise ours":
            try:
                raise ValueError("the reason")
            except ValueError as exc:
                raise ModelMisbehaved("as told") from exc
        case "raise":
            raise RuntimeError("as told")
        case "cancelled":
            await asyncio.get_running_loop().create_future()


async def _answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse([TextPart(_ANSWER)])


def _served() -> ServedAgent:
    agent = Agent(FunctionModel(_answer, stream_function=_speak), name="speaker")
    return ServedAgent.wrapping(agent, Settings.load(agent_name="speaker"), LocalMemory(app_name="speaker"))


def _request(session: str, instructions: str = "", **fields: Any) -> RunRequest:
    image = BinaryContent(b"x" * 10_000, media_type="image/png")
    return RunRequest(prompt=["look", image], session_id=session, instructions=instructions, **fields)


def _found() -> list[object]:
    gc.collect()
    return [found for found in gc.get_objects() if type(found) in _COUNTED]


def _names(found: Sequence[object], *, besides: Sequence[object]) -> Counter[str]:
    known = {id(each) for each in besides}
    return Counter(type(each).__name__ for each in found if id(each) not in known)


@pytest.fixture(autouse=True)
def unlogged() -> Iterator[None]:
    """Keep pytest from keeping what is logged, with the frames of what went wrong."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("ends", ["well", "raise ours", "raise", "refused", "cancelled"])
async def test_a_run_that_has_ended_holds_nothing_of_what_it_worked_with(ends: str) -> None:
    served = _served()
    runs = served.runs
    before = _found()
    for number in range(3):
        run_id = await _ended_run(runs, f"s{number}", ends)
        ending = (await runs.get(run_id, "user")).ending
        assert isinstance(ending, Finished if ends == "well" else Failed)
    assert (await runs.list("user")).total == 3
    # The logs, and nothing else; what Pydantic AI leaves to the garbage collector takes it some turns.
    await until(lambda: _names(_found(), besides=before) == {"EventLog": 3})
    await served.close()


async def test_an_answer_that_was_not_streamed_counts_for_what_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "MAX_ENDED_WEIGHT", 3.5 * len(_ANSWER))
    served = _served()
    for number in range(6):
        request = RunRequest(prompt="go", session_id=f"s{number}", stream=False)
        await finish(served.runs, NewRun(request=request, protocol="chat"))
    records = (await served.runs.list("user")).records
    assert [record.session_id for record in records] == ["s5", "s4", "s3"]
    await served.close()


async def _ended_run(runs: Runs, session: str, ends: str) -> str:
    results = (ToolResult(call_id="unknown", content="x" * 10_000),) if ends == "refused" else ()
    new = NewRun(request=_request(session, ends, tool_results=results), protocol="chat")
    away = anyio.Event()
    run = await runs.start(new, on_start=nothing, on_end=away.set)
    with anyio.fail_after(TIMEOUT):
        if ends == "cancelled":
            await run.next_events()
            await runs.cancel(new.run_id, "user")
        await away.wait()
    run.leave()
    return new.run_id
