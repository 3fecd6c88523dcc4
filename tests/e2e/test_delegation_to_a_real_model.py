"""A real, if small, language model as the sub-agent of an agent that follows a script."""

import pytest

from tests.support.agents import agent_process, delegate, events, http_client, knows, progress, stream_chat
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
