"""The OpenAI client for Python and responses that outlive their connection: resumed, ended, forgotten."""

from collections.abc import Iterator
from typing import Any, cast

import openai
import pytest
from openai import OpenAI

from tests.conformance.repertoire import (
    BREAK_OFF,
    FIND,
    FOUND,
    REFUSE,
    SLOWLY,
    TAKE_TIME,
    TELL,
    THINK,
    perform,
)
from tests.conformance.response_events import (
    dumped,
    final_of,
    resume,
    stream,
    text_of,
    types_of,
)
from tests.support.endpoint import Endpoint, ModelCall
from tests.support.sockets import until


@pytest.mark.anyio
async def test_response_in_the_background(client: OpenAI, model: Endpoint) -> None:
    response = client.responses.create(model="clerk", input=TAKE_TIME, background=True)
    assert (response.status, response.background, response.output) == ("queued", True, [])

    def ended() -> bool:
        return client.responses.retrieve(response.id).status == "completed"

    await until(ended)
    assert client.responses.retrieve(response.id).output_text == SLOWLY
    assert types_of(resume(client, response.id, 0))[:2] == ["queued", "in_progress"]
    assert len(model.calls) == 1


def test_failure_in_the_background_is_in_the_response(client: OpenAI) -> None:
    events = stream(client, REFUSE, background=True)

    assert types_of(events) == ["created", "queued", "failed"]
    response = final_of(events)
    assert (response.status, response.background) == ("failed", True)
    assert dumped(resume(client, response.id, 0)) == dumped(events)[1:]


@pytest.mark.parametrize("prompt", [TELL, FIND, THINK, BREAK_OFF])
def test_resumed_at_every_event_in_turn_afterwards(client: OpenAI, prompt: str) -> None:
    events = stream(client, prompt)

    for number in range(len(events)):
        assert dumped(resume(client, final_of(events).id, number)) == dumped(events)[number + 1 :]


@pytest.mark.parametrize("background", [False, True])
def test_connection_dropped_at_every_event_in_turn(client: OpenAI, model: Endpoint, background: bool) -> None:
    count = len(stream(client, FIND, background=background))
    goes_on = {"X-On-Disconnect": "continue"}

    for number in range(count - 1):
        model.calls.clear()
        with client.responses.create(
            model="clerk", input=FIND, stream=True, background=background, extra_headers=goes_on
        ) as events:
            heard = [next(events) for _ in range(number + 1)]
        heard += resume(client, cast("Any", heard[0]).response.id, number)

        assert [event.sequence_number for event in heard] == list(range(len(heard)))
        assert text_of(heard) == final_of(heard).output_text == FOUND
        assert len(model.calls) == 2


def test_resumed_by_the_helper(client: OpenAI) -> None:
    events = stream(client, FIND, background=True)
    with client.responses.stream(response_id=final_of(events).id, starting_after=9) as helper:
        resumed = [event.sequence_number for event in helper]
        response = helper.get_final_response()

    assert resumed == list(range(10, len(events)))
    assert response.output_text == FOUND


def test_chat_run_is_a_response_too(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="clerk", messages=[{"role": "user", "content": FIND}]
    )
    run_id = raw.headers["x-run-id"]
    response = client.responses.retrieve(run_id)

    assert (response.status, response.output_text) == ("completed", FOUND)
    assert [item.type for item in response.output] == ["mcp_call", "message"]
    assert text_of(resume(client, run_id, 0)) == FOUND
    assert client.responses.input_items.list(run_id).data == []


class Hanging:
    """A model that says one word and nothing more."""

    def __init__(self) -> None:
        self.gone = 0

    async def __call__(self, call: ModelCall) -> None:
        await call.start_stream()
        await call.text("Well, ")
        await call.closed()
        self.gone += 1


@pytest.fixture
def hanging(model: Endpoint) -> Iterator[Hanging]:
    model.script = script = Hanging()
    yield script
    model.script = perform


@pytest.mark.anyio
@pytest.mark.parametrize("background", [False, True])
async def test_cancelled_while_it_is_streamed(client: OpenAI, hanging: Hanging, background: bool) -> None:
    with client.responses.create(model="clerk", input="hi", stream=True, background=background) as events:
        heard: list[Any] = []
        while not heard or heard[-1].type != "response.output_text.delta":
            heard.append(next(events))
        cancelled = client.responses.cancel(heard[0].response.id)
        heard += events

    assert (cancelled.status, cancelled.output_text) == ("cancelled", "Well, ")
    assert final_of(heard).to_dict() == cancelled.to_dict()
    assert heard[-1].type == "response.failed"
    # Once more is no more: the response stays as it is.
    assert client.responses.cancel(cancelled.id).to_dict() == cancelled.to_dict()

    def closed() -> bool:
        return hanging.gone == 1

    await until(closed)


def test_cancel_of_a_finished_response_changes_nothing(client: OpenAI) -> None:
    response = client.responses.create(model="clerk", input=TELL)

    assert client.responses.cancel(response.id).to_dict() == response.to_dict()


def test_deleted_response_is_gone(client: OpenAI) -> None:
    response = client.responses.create(model="clerk", input=TELL)
    client.responses.delete(response.id)

    for ask in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            ask(response.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id, stream=True)


def test_response_that_is_not_stored_is_gone_too(client: OpenAI) -> None:
    response = client.responses.create(model="clerk", input=TELL, store=False)

    assert response.store is False  # type: ignore[attr-defined]
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_input_items_page_by_page(client: OpenAI) -> None:
    said = [f"line {number}" for number in range(5)]
    response = client.responses.create(
        model="clerk", input=[{"role": "user", "content": text} for text in said]
    )

    def texts(items: Any) -> list[str]:
        return [item.content[0].text for item in items]

    listed = client.responses.input_items.list(response.id, order="asc", limit=2)
    assert (texts(listed.data), listed.has_more) == (said[:2], True)
    assert texts(listed) == said
    assert texts(client.responses.input_items.list(response.id)) == said[::-1]
