"""Parts, from clients to the model and from the model to clients."""

import base64
import json
from typing import Any

import pytest
from pydantic_ai import Agent, BinaryContent, ImageUrl
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from pais_lite import serve
from pais_lite.api.a2a.parts import answer_parts
from pais_lite.events import Finished
from tests.api.a2a.rpc import error, make_server, message, old_message, result, send

pytestmark = pytest.mark.anyio

PNG = base64.b64encode(b"\x89PNG").decode()


def seen(*parts: Any, old: bool = False) -> Any:
    """Have a model look at parts, and return what it saw, with how to ask for it."""
    contents: list[Any] = []

    async def look(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        contents.append(messages[-1].parts[-1].content)  # type: ignore[union-attr]
        return ModelResponse(parts=[TextPart("seen")])

    async def ask() -> Any:
        server = serve(Agent(FunctionModel(look), name="looker"))
        if old:
            await result(server, "message/send", message=old_message(parts=list(parts)))
        else:
            await result(server, "SendMessage", message=message(parts=list(parts)))
        return contents[0]

    return ask()


async def test_what_the_model_sees_of_1_0() -> None:
    assert await seen({"text": "Hi."}) == "Hi."
    found = await seen(
        {"text": "Look:"},
        {"raw": PNG, "mediaType": "image/png", "filename": "a.png"},
        {"url": "https://example.com/b.png", "mediaType": "image/png"},
        {"data": {"a": [1]}, "mediaType": "application/json"},
        {"raw": base64.b64encode(b"x").decode(), "filename": "//[notes.txt"},
        {"data": None},
    )
    assert found == [
        "Look:",
        BinaryContent(b"\x89PNG", media_type="image/png"),
        ImageUrl("https://example.com/b.png", media_type="image/png"),
        '{"a":[1]}',
        BinaryContent(b"x", media_type="text/plain"),
        "null",
    ]


async def test_what_the_model_sees_of_0_3() -> None:
    found = await seen(
        {"kind": "text", "text": "Look:", "metadata": {"a": 1}},
        {"kind": "file", "file": {"bytes": PNG, "mimeType": "image/png", "name": "a.png"}},
        {"kind": "file", "file": {"uri": "https://example.com/b.png"}},
        {"kind": "data", "data": {"a": [1]}},
        old=True,
    )
    assert found == [
        "Look:",
        BinaryContent(b"\x89PNG", media_type="image/png"),
        ImageUrl("https://example.com/b.png", media_type="image/png"),
        '{"a":[1]}',
    ]


@pytest.mark.parametrize(
    ("parts", "number"),
    [
        ([], -32602),
        ("text", -32602),
        ([{}], -32602),
        (["text"], -32602),
        ([{"text": 3}], -32602),
        ([{"text": "a", "data": {}}], -32602),
        ([{"raw": "no base64!"}], -32602),
        ([{"text": "a", "mediaType": 1}], -32602),
        ([{"text": "a", "metadata": []}], -32602),
        ([{"text": None}], -32602),
        ([{"url": "https://[example.com/a.png", "mediaType": "image/png"}], -32602),
        ([{"url": "https://[example.com/a.png"}], -32602),
        ([{"raw": PNG, "mediaType": "application/x-unsupported-tck-type"}], -32005),
        ([{"raw": PNG, "mediaType": "video/mp4"}], -32005),
        ([{"url": "http://example.com/a.png", "mediaType": "image/png"}], -32005),
        ([{"url": "https://example.com/a.pdf", "mediaType": "application/pdf"}], -32005),
    ],
)
async def test_parts_that_are_refused(parts: Any, number: int) -> None:
    assert (await error(make_server(), "SendMessage", message=message(parts=parts)))["code"] == number


@pytest.mark.parametrize(
    "part",
    [
        {"text": "no kind"},
        {"kind": "text"},
        {"kind": "data", "data": [1]},
        {"kind": "file"},
        {"kind": "file", "file": {}},
        {"kind": "file", "file": {"uri": "https://[example.com/a.png"}},
        {"kind": "file", "file": {"bytes": PNG, "uri": "https://example.com"}},
        {"kind": "sound", "sound": "x"},
    ],
)
async def test_parts_of_0_3_that_are_refused(part: Any) -> None:
    assert (await error(make_server(), "message/send", message=old_message(parts=[part])))["code"] == -32602


@pytest.mark.parametrize(
    ("message_id", "part", "old"),
    [
        (
            "tck-artifact-text",
            {"text": "Generated text content"},
            {"kind": "text", "text": "Generated text content"},
        ),
        (
            "tck-artifact-file",
            {"raw": "V2hhdCBpcyBpbiB0aGUgZmlsZS4=", "mediaType": "text/plain", "filename": "output.txt"},
            {
                "kind": "file",
                "file": {
                    "bytes": "V2hhdCBpcyBpbiB0aGUgZmlsZS4=",
                    "mimeType": "text/plain",
                    "name": "output.txt",
                },
            },
        ),
        (
            "tck-artifact-file-url",
            {"url": "https://example.com/output.txt", "mediaType": "text/plain", "filename": "output.txt"},
            {
                "kind": "file",
                "file": {
                    "uri": "https://example.com/output.txt",
                    "mimeType": "text/plain",
                    "name": "output.txt",
                },
            },
        ),
        (
            "tck-artifact-data",
            {"data": {"key": "value", "count": 42}, "mediaType": "application/json"},
            {"kind": "data", "data": {"key": "value", "count": 42}},
        ),
    ],
)
async def test_output_of_each_kind_becomes_a_part(message_id: str, part: Any, old: Any) -> None:
    server = make_server()
    assert (await send(server, message_id))["artifacts"] == [{"artifactId": "answer", "parts": [part]}]
    task = await result(server, "message/send", message=old_message(message_id))
    assert task["artifacts"] == [{"artifactId": "answer", "parts": [old]}]


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ([1, 2], [{"data": [1, 2], "mediaType": "application/json"}]),
        (["a", "b"], [{"data": ["a", "b"], "mediaType": "application/json"}]),
        ({"kind": "binary"}, [{"data": {"kind": "binary"}, "mediaType": "application/json"}]),
        (
            ["See:", {"kind": "image-url", "url": "https://e.com/", "media_type": "image/png"}],
            [{"text": "See:"}, {"url": "https://e.com/", "mediaType": "image/png"}],
        ),
        (
            {"kind": "image-url", "url": "https://[e.com/a.png", "media_type": "image/png"},
            [{"url": "https://[e.com/a.png", "mediaType": "image/png"}],
        ),
        (
            {"kind": "binary", "data": "-_8=", "media_type": "image/png", "identifier": "a1b2c3"},
            [{"raw": "+/8=", "mediaType": "image/png"}],
        ),
    ],
)
def test_structured_outputs(value: Any, parts: Any) -> None:
    assert answer_parts(Finished(output=json.dumps(value), structured=True)) == parts
