"""Clients from npm against `pais run`: `openai`, and the AI SDK over `@ai-sdk/openai-compatible`."""

import json

import pytest

from tests.conformance.node_reports import PROJECT, Ask, Report
from tests.conformance.repertoire import (
    CONCLUSION,
    FOUND,
    HALF,
    SHOWN,
    SLOWLY,
    STORY,
    THOUGHT,
)
from tests.support.processes import Process

pytestmark = pytest.mark.node

PIECES = STORY.replace(" ", "\0 ").split("\0")


@pytest.fixture(scope="module")
def openai(ask: Ask, server: Process) -> Report:
    return ask("openai.mjs", server)


@pytest.fixture(scope="module")
def ai_sdk(ask: Ask, server: Process) -> Report:
    return ask("ai-sdk.mjs", server)


def test_what_is_installed_is_locked_and_bound_to_no_registry() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text())

    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all("integrity" in package and "resolved" not in package for package in packages.values())


# ------------------------------------------------------------------------------------------------ openai


@pytest.mark.parametrize("loop", ["clientTools", "clientToolsStreamed"])
def test_openai_runs_a_tool_of_its_own_beside_one_of_the_agent(openai: Report, loop: str) -> None:
    asked, answered = openai[loop]

    assert asked == {
        "text": "One moment.",
        "finish": "tool_calls",
        "calls": [["show_on_map", '{"place": "the oven"}']],
    }
    assert answered == {"text": SHOWN, "finish": "stop", "calls": []}


def test_openai_reads_the_usage_of_two_agents(openai: Report) -> None:
    seen = openai["streamOfTwoAgents"]

    assert (seen["usage"], seen["finish"]) == ([54], ["stop"])


def test_openai_is_told_the_usage_of_a_stream_before_its_error(openai: Report) -> None:
    seen = openai["streamOfTwoAgentsThatBreaks"]

    assert (seen["text"], seen["usage"]) == (HALF, [36])
    assert seen["failed"]["isAPIError"]
    assert seen["failed"]["message"] == "the connection to the model endpoint failed"


def test_openai_helper_runs_tools_by_itself(openai: Report) -> None:
    assert openai["runTools"] == {"text": SHOWN, "shown": ["the oven"]}


def test_openai_approves_a_tool_of_the_agent(openai: Report) -> None:
    assert openai["approval"] == {
        "asked": ["cancel_order", '{"number": 7}'],
        "text": "So: order 7 is cancelled",
    }


def test_openai_plain_answer(openai: Report) -> None:
    assert openai["plain"] == {"text": STORY, "role": "assistant", "finish": "stop", "usage": 18}


def test_openai_stream_without_usage_always_has_a_choice(openai: Report) -> None:
    seen = openai["stream"]

    assert (seen["text"], seen["pieces"], seen["finish"]) == (STORY, len(PIECES), ["stop"])
    assert set(seen["choices"]) == {1}
    assert seen["usage"] == []


def test_openai_stream_with_usage_ends_with_it(openai: Report) -> None:
    seen = openai["streamWithUsage"]

    assert (seen["text"], seen["finish"], seen["usage"]) == (STORY, ["stop"], [18])
    assert seen["choices"].index(0) == len(seen["choices"]) - 1


def test_openai_stream_of_an_agent_with_tools(openai: Report) -> None:
    seen = openai["streamWithTool"]

    assert (seen["text"], seen["finish"]) == (FOUND, ["stop"])
    assert seen["progress"] == ["started", "completed"]
    assert seen["toolCalls"] == 0


def test_openai_stream_with_thoughts(openai: Report) -> None:
    assert (openai["streamWithThoughts"]["reasoning"], openai["streamWithThoughts"]["text"]) == (
        THOUGHT,
        CONCLUSION,
    )


def test_openai_stream_helper_puts_the_answer_together(openai: Report) -> None:
    assert openai["helper"] == {"deltas": PIECES, "role": "assistant", "text": STORY, "finish": "stop"}


def test_openai_stream_helper_reads_over_progress_and_thoughts(openai: Report) -> None:
    assert openai["helperWithTool"]["text"] == FOUND
    assert openai["helperWithThoughts"]["text"] == CONCLUSION


def test_openai_session_kept_by_the_server(openai: Report) -> None:
    assert openai["session"] == ["I heard: I am Ada.", "I heard: I am Ada. / Who am I?"]


def test_openai_models(openai: Report) -> None:
    assert openai["models"] == {"listed": ["clerk"], "retrieved": "clerk"}


def test_openai_refusals_are_its_own_exceptions(openai: Report) -> None:
    unknown, bad = openai["unknownModel"], openai["badParameter"]

    assert (unknown["threw"], unknown["status"], unknown["code"]) == ("NotFoundError", 404, "model_not_found")
    assert (bad["threw"], bad["status"], bad["param"]) == ("BadRequestError", 400, "temperature")


def test_openai_failing_model_throws_and_is_asked_once(openai: Report) -> None:
    failed = openai["failingModel"]

    assert (failed["threw"], failed["status"], failed["code"]) == ("InternalServerError", 502, "403")
    assert openai.refusals == 1


def test_openai_failure_in_the_middle_of_a_stream_throws_after_the_text(openai: Report) -> None:
    seen = openai["streamThatBreaks"]

    assert seen["text"] == HALF
    assert seen["failed"] == {
        "isAPIError": True,
        "message": "the connection to the model endpoint failed",
        "code": "model_unavailable",
        "type": "upstream_error",
    }


def test_openai_reads_over_the_keepalives_of_a_slow_model(ask: Ask, fidgety_server: Process) -> None:
    seen = ask("openai.mjs", fidgety_server, "streamOfSlowModel")["streamOfSlowModel"]

    assert (seen["reasoning"], seen["text"], seen["finish"]) == (THOUGHT, SLOWLY, ["stop"])


# ------------------------------------------------------------------------------------------------ AI SDK


def test_ai_sdk_generates_text(ai_sdk: Report) -> None:
    assert ai_sdk["generateStory"] == {
        "text": STORY,
        "finishReason": "stop",
        "usage": 18,
        "toolCalls": 0,
        "warnings": [],
    }


def test_ai_sdk_generates_text_with_an_agent_that_has_tools(ai_sdk: Report) -> None:
    answer = ai_sdk["generateWithTool"]

    assert (answer["text"], answer["usage"], answer["toolCalls"]) == (FOUND, 36, 0)


def test_ai_sdk_reads_the_usage_of_two_agents(ai_sdk: Report) -> None:
    assert ai_sdk["generateByTwoAgents"]["usage"] == 54
    seen = ai_sdk["streamOfTwoAgents"]
    assert (seen["usage"], seen["errors"], seen["finishReason"]) == (54, [], "stop")


def test_ai_sdk_sees_the_error_of_a_stream_that_told_its_usage(ai_sdk: Report) -> None:
    seen = ai_sdk["streamOfTwoAgentsThatBreaks"]

    assert (seen["text"], seen["finishReason"]) == (HALF, "error")
    assert seen["errors"] == ["the connection to the model endpoint failed"]


@pytest.mark.parametrize("loop", ["toolLoop", "toolLoopStreamed"])
def test_ai_sdk_runs_tools_of_its_own_in_its_loop(ai_sdk: Report, loop: str) -> None:
    seen = ai_sdk[loop]

    assert (seen["shown"], seen["steps"], seen["finishReason"]) == (
        ["the oven"],
        ["tool-calls", "stop"],
        "stop",
    )
    assert seen["text"] == SHOWN
    assert seen.get("errors", []) == []


def test_ai_sdk_is_told_a_call_piece_by_piece(ai_sdk: Report) -> None:
    parts = ["tool-input-start", "tool-input-delta", "tool-input-end", "tool-call", "tool-result"]

    assert ai_sdk["toolLoopStreamed"]["parts"] == parts


def test_ai_sdk_conversation_kept_by_the_client(ai_sdk: Report) -> None:
    assert ai_sdk["generateFromMessages"]["text"] == "I heard: I am Ada. / Who am I?"


def test_ai_sdk_streams_text(ai_sdk: Report) -> None:
    assert ai_sdk["textStream"] == PIECES
    assert ai_sdk["streamStory"]["parts"] == [
        "start",
        "start-step",
        "text-start",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
    ]
    assert ai_sdk["streamStory"]["finishReason"] == "stop"


def test_ai_sdk_stream_with_usage(ai_sdk: Report) -> None:
    seen = ai_sdk["streamWithUsage"]

    assert (seen["text"], seen["usage"], seen["errors"]) == (STORY, 18, [])


def test_ai_sdk_stream_reads_over_progress(ai_sdk: Report) -> None:
    seen = ai_sdk["streamWithTool"]

    assert (seen["text"], seen["finishReason"], seen["errors"]) == (FOUND, "stop", [])
    # The same parts as of a plain story: no tool call that the client would have to answer.
    assert seen["parts"] == ai_sdk["streamStory"]["parts"]


def test_ai_sdk_stream_shows_thoughts_as_reasoning(ai_sdk: Report) -> None:
    seen = ai_sdk["streamWithThoughts"]

    assert (seen["reasoning"], seen["text"], seen["errors"]) == (THOUGHT, CONCLUSION, [])
    assert seen["parts"].index("reasoning-end") < seen["parts"].index("text-start")


def test_ai_sdk_failure_in_the_middle_of_a_stream_is_an_error_part_after_the_text(ai_sdk: Report) -> None:
    seen = ai_sdk["streamThatBreaks"]

    assert seen["text"] == HALF
    assert seen["errors"] == ["the connection to the model endpoint failed"]
    assert seen["finishReason"] == "error"


def test_ai_sdk_failing_model_throws_with_its_message(ai_sdk: Report) -> None:
    failed = ai_sdk["failingModel"]

    assert (failed["status"], failed["message"]) == (502, "the model endpoint answered with status 403")
    assert ai_sdk.refusals == 1


def test_ai_sdk_reads_over_the_keepalives_of_a_slow_model(ask: Ask, fidgety_server: Process) -> None:
    seen = ask("ai-sdk.mjs", fidgety_server, "streamOfSlowModel")["streamOfSlowModel"]

    assert (seen["reasoning"], seen["text"], seen["errors"]) == (THOUGHT, SLOWLY, [])
