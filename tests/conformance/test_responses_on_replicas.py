"""The OpenAI client for Python and two replicas on one Redis: begun on one, gone on with on the other."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.conformance.conftest import clerk
from tests.conformance.repertoire import FIND, FOUND, TAKE_TIME, perform
from tests.conformance.response_events import dumped, resume
from tests.support.endpoint import Endpoint
from tests.support.valkey import ValkeyServer

GOES_ON = {"X-On-Disconnect": "continue"}


@pytest.fixture(scope="module")
def pair(
    played: Endpoint, shared_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[OpenAI, OpenAI]]:
    env = {"MEMORY_TYPE": "redis", "MEMORY_REDIS_URL": shared_valkey.url}
    with ExitStack() as stack:
        clients = []
        for _ in range(2):
            replica = stack.enter_context(clerk(played, tmp_path_factory.mktemp("replica"), **env))
            clients.append(
                stack.enter_context(OpenAI(base_url=f"{replica.url}/v1", api_key="none", timeout=60))
            )
        yield clients[0], clients[1]


@pytest.fixture(autouse=True)
def _playing(played: Endpoint) -> None:
    played.script = perform


def resumed(client: OpenAI, run_id: str, after: int) -> list[dict[str, Any]]:
    return dumped(resume(client, run_id, after))


def settled(client: OpenAI, run_id: str) -> Any:
    """Return a response once it has ended."""
    end = time.monotonic() + 30
    while (response := client.responses.retrieve(run_id)).status in ("queued", "in_progress"):
        assert time.monotonic() < end
        time.sleep(0.02)
    return response


@pytest.mark.parametrize("background", [False, True])
def test_connection_dropped_at_every_event_in_turn_and_resumed_on_the_other_replica(
    pair: tuple[OpenAI, OpenAI], background: bool
) -> None:
    one, other = pair
    ask: dict[str, Any] = {"model": "clerk", "input": FIND, "stream": True, "background": background}
    with one.responses.create(**ask) as events:
        count = len(list(events))

    run_id = ""
    heard: list[dict[str, Any]] = []
    for number in range(count - 1):
        with one.responses.create(**ask, extra_headers=GOES_ON) as events:
            heard = [next(events).to_dict() for _ in range(number + 1)]
        run_id = heard[0]["response"]["id"]
        heard += resumed(other, run_id, number)

        assert [event["sequence_number"] for event in heard] == list(range(len(heard)))
        text = "".join(event["delta"] for event in heard if event["type"] == "response.output_text.delta")
        assert text == FOUND
    # Whoever reads it all, on either replica, is told the same.
    assert dumped(one.responses.retrieve(run_id, stream=True)) == heard
    assert other.responses.retrieve(run_id).to_dict() == heard[-1]["response"]


def test_both_replicas_read_along_while_it_is_said(pair: tuple[OpenAI, OpenAI]) -> None:
    one, other = pair
    begun = one.responses.create(model="clerk", input=TAKE_TIME, background=True)
    assert other.responses.retrieve(begun.id).status in ("queued", "in_progress")
    there = resumed(other, begun.id, 0)
    here = resumed(one, begun.id, 0)

    assert there == here
    assert there[-1]["type"] == "response.completed"


def test_cancelled_from_the_other_replica(pair: tuple[OpenAI, OpenAI]) -> None:
    one, other = pair
    begun = one.responses.create(model="clerk", input=TAKE_TIME, background=True)
    cancelled = other.responses.cancel(begun.id)

    assert cancelled.status == "cancelled"
    assert settled(one, begun.id).to_dict() == cancelled.to_dict()


def test_gone_on_with_and_forgotten_on_the_other_replica(pair: tuple[OpenAI, OpenAI]) -> None:
    one, other = pair
    first = one.responses.create(model="clerk", input="I am Ada.")
    second = other.responses.create(model="clerk", input="Who am I?", previous_response_id=first.id)

    assert second.output_text == "I heard: I am Ada. / Who am I?"
    assert [item.to_dict()["content"] for item in one.responses.input_items.list(second.id)] == [
        [{"type": "input_text", "text": "Who am I?"}]
    ]
    other.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        one.responses.retrieve(first.id)


def test_request_that_comes_again_elsewhere_is_the_same_response(
    pair: tuple[OpenAI, OpenAI], played: Endpoint
) -> None:
    played.calls.clear()
    key = {"Idempotency-Key": f"key-{time.monotonic_ns()}"}
    answers = [client.responses.create(model="clerk", input="hi", extra_headers=key) for client in pair]

    assert answers[0].to_dict() == answers[1].to_dict()
    assert len(played.calls) == 1
