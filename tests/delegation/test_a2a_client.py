"""Tasks for other agents by A2A, over HTTP: which way is chosen, what goes along, and what is done when it breaks."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from pais_lite import RemoteAgent
from pais_lite.delegation import AnswerPart, AnswerText, Task
from pais_lite.errors import DelegationFailed
from tests.support.serving import listening

pytestmark = pytest.mark.anyio

TASK = Task(text="Help.", seconds=5, owner="user", chain=("a",))
JSON, EVENTS = "application/json", "text/event-stream"


@dataclass
class Peer:
    """An agent that answers calls as it is told to: `answers` are those of each method, in order."""

    answers: dict[str, list[Any]]
    card: dict[str, Any] = field(default_factory=dict)
    models: bool = False
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    canceled: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            found: Any = None
            if scope["path"] == "/.well-known/agent-card.json":
                found = self.card
            elif scope["path"] == "/v1/models" and self.models:
                found = {"data": [{"id": "m"}]}
            await respond(send, 200 if found else 404, JSON, json.dumps(found).encode())
            return
        body = json.loads((await receive())["body"])
        headers = {str(name, "ascii"): str(value, "ascii") for name, value in scope["headers"]}
        self.calls.append((body.get("method", scope["path"]), headers))
        answer = self.answers[body["method"]].pop(0)
        if body["method"] == "CancelTask":
            self.canceled.set()
        if answer == "hang":
            await anyio.sleep_forever()
        if isinstance(answer, int):
            await respond(send, answer, JSON, b'{"error": {"message": "at 10.0.0.1"}}')
        elif isinstance(answer, list):
            data = b"".join(b"data: " + said(result) + b"\n\n" for result in answer)
            await respond(send, 200, EVENTS, data)
        else:
            await respond(send, 200, JSON, said(answer))


async def respond(send: Any, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def said(result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()


def task(state: str, text: str | None = None) -> dict[str, Any]:
    artifacts = [{"artifactId": "a", "parts": [{"text": text}]}] if text else []
    return {"id": "t", "contextId": "c", "status": {"state": f"TASK_STATE_{state}"}, "artifacts": artifacts}


def card(url: str, *, streams: bool = False) -> dict[str, Any]:
    return {
        "name": "peer",
        "description": "Helps.",
        "supportedInterfaces": [{"url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {"streaming": streams},
    }


@asynccontextmanager
async def known(peer: Peer, *, streams: bool = False, key: str | None = None) -> AsyncIterator[RemoteAgent]:
    """Serve a peer whose card names the place where it is."""

    def make(url: str) -> Peer:
        peer.card = peer.card or card(f"{url}/rpc", streams=streams)
        return peer

    async with listening(make) as url:
        agent = RemoteAgent("peer", url, api_key=key)
        try:
            yield agent
        finally:
            await agent.aclose()


async def ask(agent: RemoteAgent, heard: Callable[[AnswerPart], None] = lambda part: None) -> str:
    async def tell(part: AnswerPart) -> None:
        heard(part)

    with anyio.fail_after(10):
        return await agent.hand_over(TASK, await agent.discover(), tell)


async def test_agent_with_an_openai_api_is_asked_by_that() -> None:
    async with known(Peer({}, models=True)) as agent:
        assert (await agent.discover()).a2a is None
    async with known(Peer({})) as agent:
        found = (await agent.discover()).a2a
        assert found is not None
        assert (found.version, found.streams) == ("1.0", False)


async def test_task_is_asked_for_until_it_is_over_and_what_is_ours_goes_along() -> None:
    peer = Peer(
        {
            "SendMessage": [{"task": task("SUBMITTED")}],
            "GetTask": [task("WORKING"), task("COMPLETED", "Done.")],
        }
    )
    heard: list[AnswerPart] = []
    async with known(peer, key="k") as agent:
        assert await ask(agent, heard.append) == "Done."
    assert heard == [AnswerText("Done.")]
    assert [method for method, _ in peer.calls] == ["SendMessage", "GetTask", "GetTask"]
    for _, headers in peer.calls:
        assert (headers["authorization"], headers["a2a-version"]) == ("Bearer k", "1.0")
        assert headers["x-delegation-chain"] == "a"


async def test_stream_that_breaks_off_is_no_end_of_the_task() -> None:
    piece = {"artifactUpdate": {"artifact": {"artifactId": "a", "parts": [{"text": "Do"}]}}}
    peer = Peer(
        {
            "SendStreamingMessage": [[{"task": task("WORKING")}, piece]],
            "GetTask": [task("COMPLETED", "Done.")],
        }
    )
    heard: list[AnswerPart] = []
    async with known(peer, streams=True) as agent:
        assert await ask(agent, heard.append) == "Done."
    assert heard == [AnswerText("Do"), AnswerText("ne.")]


async def test_key_stays_here_when_the_card_names_another_place() -> None:
    other = Peer({"SendMessage": [{"task": task("COMPLETED", "Done.")}]})
    # An address of loopback that does not count as a name for one's own machine.
    async with (
        listening(lambda _: other, host="127.0.0.2") as url,
        known(Peer({}, card=card(url)), key="k") as agent,
    ):
        assert await ask(agent) == "Done."
    (call,) = other.calls
    assert "authorization" not in call[1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (401, "it refused our key"),
        (429, "it is too busy at the moment"),
        (500, "it answered with status 500"),
        ({"task": {"status": {"state": "TASK_STATE_WORKING"}}}, "its answer could not be read"),
    ],
)
async def test_answers_that_are_none(answer: Any, says: str) -> None:
    async with known(Peer({"SendMessage": [answer]})) as agent:
        with pytest.raises(DelegationFailed) as caught:
            await ask(agent)
    assert caught.value.message == says


async def test_task_that_nobody_waits_for_is_canceled() -> None:
    peer = Peer(
        {"SendMessage": [{"task": task("WORKING")}], "GetTask": ["hang"], "CancelTask": [task("CANCELED")]}
    )
    async with known(peer) as agent:
        profile = await agent.discover()

        async def tell(part: AnswerPart) -> None:
            pass

        with anyio.move_on_after(0.5):
            await agent.hand_over(TASK, profile, tell)
        with anyio.fail_after(5):
            await peer.canceled.wait()
