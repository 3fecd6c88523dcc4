"""The `openai` package from npm and the Responses API of `pais run`."""

import pytest

from tests.conformance.node_reports import Ask, Report
from tests.conformance.repertoire import CONCLUSION, FOUND, HALF, SHOWN, SLOWLY, STORY, THOUGHT
from tests.support.processes import Process

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def openai(ask: Ask, server: Process) -> Report:
    return ask("openai-responses.mjs", server)


def test_plain_answer(openai: Report) -> None:
    assert openai["plain"] == {"text": STORY, "status": "completed", "usage": 18}


@pytest.mark.parametrize(
    ("scenario", "text", "output"),
    [
        ("streamStory", STORY, ["message"]),
        ("streamWithTool", FOUND, ["mcp_call", "message"]),
        ("streamWithThoughts", CONCLUSION, ["reasoning", "message"]),
        ("streamOfSlowModel", SLOWLY, ["reasoning", "message"]),
    ],
)
def test_stream(openai: Report, scenario: str, text: str, output: list[str]) -> None:
    seen = openai[scenario]

    assert seen["text"] == text
    assert seen["final"] == {"status": "completed", "error": None, "output": output}
    assert seen["types"][:2] == ["response.created", "response.in_progress"]
    assert seen["types"][-1] == "response.completed"
    assert seen["numbers"] == list(range(len(seen["numbers"])))


def test_steps_of_a_tool_come_along(openai: Report) -> None:
    assert openai["streamWithTool"]["progress"] == ["started", "completed"]


def test_keepalives_of_a_slow_model_are_read_over(ask: Ask, fidgety_server: Process) -> None:
    seen = ask("openai-responses.mjs", fidgety_server, "streamOfSlowModel")["streamOfSlowModel"]

    assert (seen["text"], seen["final"]["status"]) == (SLOWLY, "completed")


def test_failure_in_the_middle_of_a_stream(openai: Report) -> None:
    seen = openai["streamThatBreaks"]

    assert (seen["text"], seen["types"][-1]) == (HALF, "response.failed")
    assert (seen["final"]["status"], seen["final"]["error"]["code"]) == ("failed", "model_unavailable")


def test_stream_helper(openai: Report) -> None:
    with_tool = openai["helperWithTool"]

    assert with_tool["text"] == with_tool["whole"] == FOUND
    assert with_tool["tool"] == ["mcp_call", "find_order", "order 7 is in the oven"]
    assert openai["helperWithThoughts"] == {"text": CONCLUSION, "thoughts": [THOUGHT]}


def test_response_in_the_background(openai: Report) -> None:
    assert openai["background"] == {
        "begun": "queued",
        "types": ["response.created", "response.queued", "response.in_progress"],
        "streamed": SLOWLY,
        "status": "completed",
        "text": SLOWLY,
    }


def test_resumed_after_every_event_in_turn(openai: Report) -> None:
    seen = openai["resumed"]

    assert seen["whole"] == FOUND
    assert seen["texts"] == [FOUND] * (seen["count"] - 1)
    assert all(numbers == list(range(len(numbers))) for numbers in seen["numbers"])


def test_resumed_by_the_helper(openai: Report) -> None:
    assert openai["resumedByHelper"] == {"first": 6, "text": STORY}


def test_cancelled_and_deleted(openai: Report) -> None:
    assert openai["cancelled"] == ["cancelled"] * 3
    assert (openai["deleted"]["threw"], openai["deleted"]["status"]) == ("NotFoundError", 404)


def test_input_items_page_by_page(openai: Report) -> None:
    assert openai["inputItems"] == ["one", "two", "three"]


def test_conversations(openai: Report) -> None:
    assert openai["conversations"] == [
        "I heard: I am Ada. / Who am I?",
        "I heard: I am Ada. / Who am I? / Sure?",
    ]


def test_tool_of_the_client(openai: Report) -> None:
    assert openai["clientTool"] == {"name": "show_on_map", "second": SHOWN, "kept": SHOWN}


def test_approval(openai: Report) -> None:
    assert openai["approval"] == {"type": "mcp_approval_request", "text": "So: order 7 is cancelled"}


def test_refusals_are_exceptions_and_not_repeated(openai: Report) -> None:
    bad, failed = openai["badParameter"], openai["failingModel"]

    assert (bad["threw"], bad["status"], bad["param"]) == ("BadRequestError", 400, "temperature")
    assert (failed["threw"], failed["status"], failed["code"]) == ("InternalServerError", 502, "403")
    assert openai.refusals == 1
