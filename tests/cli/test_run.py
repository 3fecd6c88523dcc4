"""`pais run` as people start it: what it serves, what it says, and what it says when it cannot."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from pais_lite.version import __version__
from tests.support.asgi import chat
from tests.support.processes import START_TIMEOUT, pais_run

CHAT = "/v1/chat/completions"
MOCK = {"DEBUG_MOCK_RESPONSES": '["hello from the mock"]'}


def pais(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    import os

    return subprocess.run(
        [sys.executable, "-m", "pais_lite", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        check=False,
    )


def complaint(*arguments: str, cwd: Path, **environment: str) -> str:
    """Run a command that has to fail, and return the one line that it says."""
    done = pais(*arguments, cwd=cwd, **environment)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_ready_line_has_a_curl_that_works(folder: Path) -> None:
    with pais_run(env=MOCK, cwd=folder) as process:
        answer = httpx2.post(f"{process.url}{CHAT}", json=chat(stream=True), trust_env=False)
        assert "data: [DONE]" in answer.text
        assert httpx2.get(f"{process.url}/v1/models", trust_env=False).json()["data"][0]["id"] == "greeter"
        said = process.output()
        assert f"curl -N {process.url}{CHAT}" in said
        assert process.stop() == 0


def test_curl_of_the_ready_line_is_a_request_that_is_answered(folder: Path) -> None:
    with pais_run(env=MOCK, cwd=folder) as process:
        line = process.lines.get(timeout=10)
        sent = re.search(r"-d '(.*)'", line)
        assert sent is not None
        answer = httpx2.post(f"{process.url}{CHAT}", json=json.loads(sent[1]), trust_env=False)
        assert answer.status_code == 200


def test_no_file_means_an_agent_from_the_environment(tmp_path: Path) -> None:
    with pais_run(env={**MOCK, "AGENT_NAME": "from-nowhere"}, cwd=tmp_path) as process:
        assert httpx2.get(f"{process.url}/health", trust_env=False).json()["name"] == "from-nowhere"


def test_dotenv_in_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AGENT_NAME=dotted\nDEBUG_MOCK_RESPONSES='[\"hi\"]'\n")
    with pais_run(cwd=tmp_path) as process:
        assert httpx2.get(f"{process.url}/health", trust_env=False).json()["name"] == "dotted"


def test_several_agents_are_listed(folder: Path) -> None:
    path = folder / "two.py"
    path.write_text(
        "from pydantic_ai import Agent\nfirst = Agent('test')\nsecond = Agent('test')\nalias = first\n"
    )
    said = complaint("run", "two.py", cwd=folder)
    assert "first, second" in said
    assert "two.py:first" in said
    with pais_run("two.py:second", cwd=folder) as process:
        assert process.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["run", "missing.py"], {}, "missing.py"),
        (["run", "empty.py"], {}, "defines no pydantic_ai.Agent"),
        (["run", "broken.py"], {}, "broken.py:2"),
        (["run", "syntax.py"], {}, "syntax.py:1"),
        (["run", "server.py:other"], {}, "no agent named other"),
        (["run"], {"DEBUG_MOCK_RESPONSES": ""}, "MODEL_API_URL"),
        (["run"], {"AGENT_PORT": "eighty"}, "AGENT_PORT: 'eighty'"),
        (["run"], {"RUN_TIMEOUT": "soon"}, "RUN_TIMEOUT: 'soon'"),
        (["run"], {"ON_DISCONNECT": "panic"}, "ON_DISCONNECT: 'panic'"),
        (["run"], {"DEBUG_MOCK_RESPONSES": "[1"}, "DEBUG_MOCK_RESPONSES"),
        (["run"], {"MEMORY_TYPE": "redis"}, "MEMORY_REDIS_URL"),
        (["run"], {"AGENT_API_KEYS": ",:secret:,"}, "AGENT_API_KEYS: its value"),
        (["run", "--port", "70000"], {}, "70000"),
        (["run", "--host", "no.such.host.invalid"], {}, "no.such.host.invalid"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_served_is_one_line(
    folder: Path, arguments: list[str], environment: dict[str, str], said: str
) -> None:
    (folder / "empty.py").write_text("agent = None\n")
    (folder / "broken.py").write_text("x = 1\nraise ValueError('no luck')\n")
    (folder / "syntax.py").write_text("def\n")
    assert said in complaint(*arguments, cwd=folder, **{**MOCK, **environment})


def test_all_wrong_settings_are_named_at_once(folder: Path) -> None:
    said = complaint("run", cwd=folder, RUN_TIMEOUT="x", AGENT_PORT="y", **MOCK)
    assert "RUN_TIMEOUT" in said
    assert "AGENT_PORT" in said


def test_port_in_use_is_one_line(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        assert port in complaint("run", "--host", "127.0.0.1", "--port", port, cwd=folder, **MOCK)


def test_wrong_options_exit_with_2(folder: Path) -> None:
    for arguments in (["run", "--workers", "0"], ["run", "--workers", "many"], ["fly"], []):
        done = pais(*arguments, cwd=folder)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_json_log_is_one_object_per_line(folder: Path) -> None:
    (folder / "server.py").write_text(
        "import logging, warnings\nfrom pydantic_ai import Agent\nagent = Agent(name='noisy')\n"
        "logging.getLogger('mine').warning('two\\nlines')\nwarnings.warn('careful')\n"
        "@agent.tool_plain\ndef fail() -> str:\n    raise RuntimeError('over\\nthere')\n"
    )
    mock = {"DEBUG_MOCK_RESPONSES": '[{"tool_calls": [{"name": "fail", "arguments": {}}]}]'}
    with pais_run(env={**mock, "LOG_FORMAT": "json"}, cwd=folder) as process:
        assert httpx2.post(f"{process.url}{CHAT}", json=chat(), trust_env=False).status_code == 500
        process.stop()
        logged = [line for line in process.output().splitlines() if line and not line.startswith("  curl ")]
    entries = [json.loads(line) for line in logged]
    assert {"timestamp", "level", "logger", "message"} <= set(entries[0])
    assert any("over\nthere" in entry.get("exception", "") for entry in entries)


def test_version(tmp_path: Path) -> None:
    scripted = subprocess.run(
        [str(Path(sys.executable).with_name("pais")), "version"],
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        check=True,
    )
    for done in (pais("version", cwd=tmp_path), scripted):
        assert (done.returncode, done.stdout) == (0, f"pais-lite {__version__}\n")
