"""What is not text: images, sounds and files on their way from the OpenAI client to the model."""

import base64
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from tests.support.endpoint import Endpoint

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n a single pixel").decode()
SOUND = base64.b64encode(b"RIFF a short sound").decode()
PAPER = base64.b64encode(b"%PDF-1.7 one page").decode()


def show(client: OpenAI, part: Any) -> str | None:
    """Send a part with a question, and return the answer."""
    question = {"type": "text", "text": "What is this?"}
    messages: Any = [{"role": "user", "content": [question, part]}]
    return client.chat.completions.create(model="clerk", messages=messages).choices[0].message.content


def seen(model: Endpoint) -> dict[str, Any]:
    """Return the part that the model got beside the question."""
    question, part = model.calls[0].body["messages"][-1]["content"]
    assert question == {"type": "text", "text": "What is this?"}
    assert isinstance(part, dict)
    return part


@pytest.mark.parametrize(
    "url", [f"data:image/png;base64,{PIXEL}", "https://images.invalid/pixel.png"], ids=["data", "https"]
)
def test_image_reaches_the_model_as_an_image(client: OpenAI, model: Endpoint, url: str) -> None:
    answer = show(client, {"type": "image_url", "image_url": {"url": url}})

    assert answer == "I heard: What is this?"
    part = seen(model)
    assert part["type"] == "image_url"
    assert part["image_url"]["url"] == url


def test_sound_reaches_the_model_as_audio(client: OpenAI, model: Endpoint) -> None:
    show(client, {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}})

    assert seen(model) == {"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}}


@pytest.mark.parametrize("prefix", ["", "data:application/pdf;base64,"], ids=["bare", "data"])
def test_file_reaches_the_model_as_a_file(client: OpenAI, model: Endpoint, prefix: str) -> None:
    show(client, {"type": "file", "file": {"filename": "paper.pdf", "file_data": prefix + PAPER}})

    part = seen(model)
    assert part["type"] == "file"
    assert part["file"]["file_data"] == f"data:application/pdf;base64,{PAPER}"


def test_image_of_an_earlier_turn_reaches_the_model_too(client: OpenAI, model: Endpoint) -> None:
    image: Any = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}

    client.chat.completions.create(
        model="clerk",
        messages=[
            {"role": "user", "content": [image]},
            {"role": "assistant", "content": "A pixel."},
            {"role": "user", "content": "Which colour?"},
        ],
    )

    first = next(message for message in model.calls[0].body["messages"] if message["role"] == "user")
    assert first["content"] == [image]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "http://metadata.internal/"}},
        {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        {"type": "input_audio", "input_audio": {"data": "not base64!", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-elsewhere"}},
        {"type": "hologram", "hologram": {}},
    ],
    ids=["http", "file", "not-base64", "file-id", "unknown"],
)
def test_part_that_cannot_be_passed_on_is_refused(client: OpenAI, model: Endpoint, part: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        show(client, part)

    assert refused.value.param == "messages"
    assert model.calls == []
