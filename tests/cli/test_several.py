"""Several files on one command line: their agents behind one door."""

import json
import re
from pathlib import Path

import httpx2
import pytest

from tests.cli.conftest import Pais
from tests.support.agents import CHAT, delegate
from tests.support.asgi import Answer, chat
from tests.support.clients import http_client
from tests.support.processes import pais_run
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

ENVIRONMENT = {
    "RESEARCHER__DEBUG_MOCK_RESPONSES": '["It is found."]',
    "THE_WRITER__DEBUG_MOCK_RESPONSES": json.dumps([delegate("researcher"), "It is written."]),
    "THE_WRITER__PEER_AGENTS": "researcher",
}


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two folders: an agent that is called like its file, and one of two, which has a name of its own."""
    for name, content in {
        "left/researcher.py": "from pydantic_ai import Agent\nagent = Agent(description='Finds.')\n",
        "right/writer.py": "from pydantic_ai import Agent\nboss = Agent(name='the writer')\nother = Agent()\n",
    }.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content)
    return tmp_path


async def test_they_are_served_together_and_again_when_a_file_of_any_changes(two: Path) -> None:
    files = ("left/researcher.py", "right/writer.py:boss")
    async with http_client() as client:
        with pais_run(*files, "--reload", env=ENVIRONMENT, cwd=two) as process:
            said = process.lines.get(timeout=10)
            sent = re.search(r"-d '(.*)'", said)
            assert sent is not None
            first = await client.post(process.url + CHAT, json=json.loads(sent[1]))
            assert Answer(first.status_code, {}, first.content).text() == "It is found."
            body = {**chat(), "model": "the-writer"}
            answer = (await client.post(process.url + CHAT, json=body)).json()
            assert answer["choices"][0]["message"]["content"] == "It is written."
            events = await client.get(f"{process.url}/agents/researcher/memory/events")
            assert [event["content"] for event in events.json()["events"]][-2:] == ["do it", "It is found."]

            writer = two / "right" / "writer.py"
            writer.write_text(writer.read_text().replace("'the writer'", "'the-writer', description='New.'"))
            card = f"{process.url}/agents/the-writer/.well-known/agent-card.json"

            async def is_new() -> bool:
                try:
                    return bool((await client.get(card)).json()["description"] == "New.")
                except (httpx2.TransportError, ValueError):
                    return False

            await until(is_new, timeout=60)
            assert process.stop() == 0


def test_each_agent_has_its_lines_in_a_check(pais: Pais, two: Path) -> None:
    done = pais("check", "left/researcher.py", "right/writer.py:boss", cwd=two, env=ENVIRONMENT)
    assert done.code == 0, done
    assert [" ".join(line.split()) for line in done.out.splitlines()] == [
        "settings ok nothing contradicts itself",
        "agent ok researcher",
        "model ok a mock: DEBUG_MOCK_RESPONSES",
        "memory ok in this process, gone with it",
        "agent ok the-writer",
        "model ok a mock: DEBUG_MOCK_RESPONSES",
        "memory ok in this process, gone with it",
        "agent:researcher ok researcher in this process",
    ]


@pytest.mark.parametrize(
    ("files", "environment", "complaint"),
    [
        (["left/researcher.py", "right/writer.py"], {}, "several agents (boss, other); say which"),
        (["left/researcher.py", "left/researcher.py"], {}, "another agent called 'researcher'"),
        (["left/researcher.py", "right/nothing.py"], {}, "there is no file right/nothing.py"),
        (["left/researcher.py", "app.py"], {}, "app.py makes a server of its agent itself"),
        (["left/researcher.py", "right/writer.py:boss"], {"AGENT_NAME": "x"}, "AGENT_NAME: 'x' cannot be"),
        (
            ["left/researcher.py", "right/writer.py:boss"],
            {"THE_WRITER__PEER_AGENTS": "clerk"},
            "THE_WRITER__PEER_AGENTS: 'clerk' needs PEER_AGENT_CLERK_CARD_URL",
        ),
        (
            ["left/researcher.py", "right/writer.py:boss"],
            {"RESEARCHER__AGENT_PORT": "1"},
            "RESEARCHER__AGENT_PORT: there is one AGENT_PORT for all agents",
        ),
    ],
)
def test_what_cannot_be_served_together_is_one_line(
    pais: Pais, two: Path, files: list[str], environment: dict[str, str], complaint: str
) -> None:
    (two / "app.py").write_text(
        "from pydantic_ai import Agent\nfrom pais_lite import serve\napp = serve(Agent('test'))\n"
    )
    done = pais("check", *files, cwd=two, env={**ENVIRONMENT, **environment})
    assert done.code == 1
    assert complaint in done.out.splitlines()[-1]
