"""Two replicas of one agent in this process, on either store of runs, and an agent that does as it is told."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelRequest, TextPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite.agent import RunRequest
from pais_lite.events import Failed, Finished, RunEvent, TextDelta
from pais_lite.memory import LocalMemory, RedisMemory
from pais_lite.runs import FollowedRun, NewRun, Once, Runs
from pais_lite.runs.codec import encode_events
from pais_lite.server.served_agent import ServedAgent
from pais_lite.settings import Settings
from tests.support.sockets import until
from tests.support.topologies import Deployment
from tests.support.valkey import ValkeyServer

TIMEOUT = 20.0


@dataclass
class Obedient:
    """A model that does what the last word of the user says.

    `say <text>` says its words one by one, `wait <gate> ...` waits for the gate in the middle, `fail` fails,
    `long <n>` says n pieces of 2,000 characters, one every 10 ms.
    """

    calls: list[str] = field(default_factory=list)
    # What began and ended, in order.
    diary: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    # What it was shown of the conversation, by the prompt.
    histories: dict[str, list[str]] = field(default_factory=dict)

    def agent(self) -> Agent[None, str]:
        """Return an agent around it."""
        return Agent(FunctionModel(stream_function=self._speak), name="obedient")

    async def called(self, prompt: str) -> None:
        """Wait until the model has been asked that."""
        await until(lambda: prompt in self.calls)

    async def _speak(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        prompt = next(
            str(part.content)
            for message in reversed(messages)
            if isinstance(message, ModelRequest)
            # Turns that were never answered stand in the same message, the latest last.
            for part in reversed(message.parts)
            if isinstance(part, UserPromptPart)
        )
        self.calls.append(prompt)
        self.histories[prompt] = [
            str(part.content)
            for message in messages
            for part in message.parts
            if isinstance(part, UserPromptPart | TextPart)
        ]
        self.diary.append(f"{prompt} begins")
        verb, _, rest = prompt.partition(" ")
        match verb:
            case "wait":
                yield "before "
                await self.gates[rest].wait()
                yield "after"
            case "fail":
                yield "so far "
                raise RuntimeError("as told")
            case "long":
                for number in range(int(rest)):
                    await asyncio.sleep(0.01)
                    yield f"{number:<2000}"
            case _:
                for word in rest.split():
                    yield f"{word} "
        self.diary.append(f"{prompt} ends")


@dataclass
class Replicas:
    """What the tests of runs need: two stores, or one that is called twice."""

    model: Obedient
    served: Sequence[ServedAgent]

    @property
    def one(self) -> Runs:
        return self.served[0].runs

    @property
    def two(self) -> Runs:
        return self.served[-1].runs


@asynccontextmanager
async def replicas(
    valkey: ValkeyServer | Deployment | None, count: int = 2, **settings: Any
) -> AsyncIterator[Replicas]:
    """Serve an obedient agent `count` times on a server, or once in this process."""
    model = Obedient()
    loaded = Settings.load(agent_name="obedient", shutdown_grace_seconds=10, **settings)
    served = []
    for _ in range(count if valkey else 1):
        memory = (
            LocalMemory(app_name="obedient")
            if valkey is None
            else RedisMemory(valkey.url, app_name="obedient", retry_seconds=10)
        )
        served.append(ServedAgent.wrapping(model.agent(), loaded, memory))
    try:
        yield Replicas(model, served)
    finally:
        for each in served:
            await each.close()


def new_run(
    prompt: str = "say hello there", session: str = "s", owner: str = "user", **fields: Any
) -> NewRun:
    """Return a run to start; `key` is its Idempotency-Key."""
    key = fields.pop("key", None)
    once = None if key is None else Once(key, f"digest of {prompt}")
    request = RunRequest(prompt=prompt, session_id=session, owner=owner)
    return NewRun(request=request, protocol=fields.pop("protocol", "chat"), once=once, **fields)


def nothing() -> None:
    """Do nothing when a run starts or ends."""


async def start(runs: Runs, new: NewRun) -> FollowedRun:
    """Start a run that nobody counts."""
    with anyio.fail_after(TIMEOUT):
        return await runs.start(new, on_start=nothing, on_end=nothing)


async def read(run: FollowedRun) -> list[RunEvent]:
    """Read all that a run says."""
    found: list[RunEvent] = []
    with anyio.fail_after(TIMEOUT):
        while events := await run.next_events():
            found += events
    return found


async def end(run: FollowedRun) -> Finished | Failed:
    """Wait for the end of a run."""
    with anyio.fail_after(TIMEOUT):
        return await run.ending()


async def finish(runs: Runs, new: NewRun) -> None:
    """Start a run, and wait until it has ended and been put away."""
    away = anyio.Event()
    await runs.start(new, on_start=nothing, on_end=away.set)
    with anyio.fail_after(TIMEOUT):
        await away.wait()


async def told(runs: Runs, run_id: str, owner: str = "user") -> bytes:
    """Return all that a run says, as it is stored."""
    run = await runs.follow(run_id, owner)
    try:
        return encode_events(await read(run))
    finally:
        run.leave()


async def under_way(pair: Replicas) -> tuple[FollowedRun, FollowedRun, FollowedRun]:
    """Return a run that waits for its gate, one that waits for its session, and the first as the other replica sees it."""
    run = await start(pair.one, new_run("wait gate"))
    await pair.one.registered(run.record.run_id, "user")
    later = await start(pair.two, new_run("say later"))
    await pair.two.registered(later.record.run_id, "user")
    follower = await pair.two.follow(run.record.run_id, "user")
    with anyio.fail_after(TIMEOUT):
        assert await follower.next_events() == [TextDelta("before ")]
    return run, later, follower
