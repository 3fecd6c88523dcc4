"""A real, if small, language model that is delegated to, and that delegates."""

from contextlib import ExitStack

import pytest

from pais_lite.models.local import LOCAL_MODEL_NAME, local_model
from tests.support.agents import agent_process, delegate, events, knows, progress, stream_chat
from tests.support.clients import http_client
from tests.support.processes import pais_run

pytestmark = [pytest.mark.anyio, pytest.mark.local_model]

# The first run of a machine reads 98 MB of weights from its disk, and its processors may be busy.
TIMEOUT = 120.0


async def test_words_of_a_real_model_come_up_as_it_makes_them_and_are_what_the_caller_reads() -> None:
    with (
        pais_run("--local", env={"AGENT_NAME": "poet"}, start_timeout=TIMEOUT) as poet,
        agent_process(
            "first", delegate("poet", "Say hello."), "Thus spoke the poet.", knows={"poet": poet.url}
        ) as first,
    ):
        async with http_client(timeout=TIMEOUT) as client:
            await knows(client, first.url, "poet")
            answer = await stream_chat(client, first.url, "Let the poet speak!", x_session_id="s")
            here = dict(await events(client, first.url, "s"))
            there = dict(await events(client, poet.url))
    assert answer.text() == "Thus spoke the poet."
    pieces = [report["delta"] for report in progress(answer) if report["status"] == "running"]
    assert len(pieces) > 1
    assert "".join(pieces) == here["delegation_response"]["result"] == there["agent_response"]
    assert there["task_delegation_received"] == "Say hello."


async def test_a_real_model_hands_a_task_to_the_right_one_of_two_others() -> None:
    described = {
        "researcher": "Finds papers and facts",
        "writer": "Writes poems and letters",
    }
    task = "Ask the researcher to find facts about the moon."
    with ExitStack() as running:
        # One model for all three: its server takes what it is asked in turns.
        url = running.enter_context(local_model())
        env = {"MODEL_API_URL": url, "MODEL_NAME": LOCAL_MODEL_NAME, "TOOL_CALL_MODE": "string"}
        others = {
            name: running.enter_context(pais_run(env={**env, "AGENT_NAME": name, "AGENT_DESCRIPTION": text}))
            for name, text in described.items()
        }
        known = ",".join(f"{name}:{process.url}" for name, process in others.items())
        patient = {"AGENT_SUB_AGENTS": known, "DELEGATION_TIMEOUT": str(TIMEOUT)}
        first = running.enter_context(pais_run(env={**env, **patient, "AGENT_NAME": "orchestrator"}))
        async with http_client(timeout=TIMEOUT) as client:
            await knows(client, first.url, *described)
            answer = await stream_chat(client, first.url, task, x_session_id="s")
            here = dict(await events(client, first.url, "s"))
            there = dict(await events(client, others["researcher"].url))
            idle = await events(client, others["writer"].url)
    assert answer.status == 200
    assert here["delegation_request"]["tool"] == "delegate_to_researcher"
    assert "error" not in there
    pieces = [report["delta"] for report in progress(answer) if report["status"] == "running"]
    assert len(pieces) > 1
    assert "".join(pieces) == here["delegation_response"]["result"] == there["agent_response"]
    assert there["task_delegation_received"] == here["delegation_request"]["arguments"]["task"]
    assert idle == []
