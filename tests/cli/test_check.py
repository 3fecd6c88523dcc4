"""`pais check`: one line for each thing, and an exit code for scripts."""

from pathlib import Path

import pytest

from tests.cli.conftest import Pais
from tests.support.endpoint import ModelCall, endpoint_in_thread
from tests.support.ports import free_port
from tests.support.valkey import ValkeyServer

KEY = "sk-secret-0123456789"


def lines_of(pais: Pais, cwd: Path, *arguments: str, **environment: str) -> tuple[int, dict[str, str]]:
    done = pais("check", *arguments, cwd=cwd, env=environment)
    assert done.err == ""
    assert KEY not in done.out
    lines = [line.split(maxsplit=1) for line in done.out.splitlines()]
    return done.code, {name: " ".join(rest.split()) for name, rest in lines}


async def models(call: ModelCall) -> None:
    """An endpoint that has two models for whoever has the key."""
    if call.headers.get("authorization") != f"Bearer {KEY}":
        await call.respond(401, {"error": {"message": f"wrong key, not {KEY}"}})
    elif call.path == "/v1/models":
        await call.respond(200, {"object": "list", "data": [{"id": "small"}, {"id": "large:latest"}]})
    else:
        await call.respond(404, {})


def test_all_is_well(pais: Pais, folder: Path, tmp_path: Path) -> None:
    redis = ValkeyServer(tmp_path)
    redis.start()
    try:
        with endpoint_in_thread(models) as endpoint:
            code, lines = lines_of(
                pais,
                folder,
                MODEL_API_URL=endpoint.url,
                MODEL_NAME="large",
                MODEL_API_KEY=KEY,
                MEMORY_TYPE="redis",
                MEMORY_REDIS_URL=redis.url,
            )
        assert code == 0
        assert [*lines] == ["settings", "agent", "model", "memory"]
        assert lines["agent"] == "ok greeter"
        assert lines["model"] == f"ok large at {endpoint.url}/v1"
        assert lines["memory"] == "ok redis, reachable"
    finally:
        redis.kill()


def test_model_that_the_endpoint_does_not_know(pais: Pais, folder: Path) -> None:
    with endpoint_in_thread(models) as endpoint:
        code, lines = lines_of(pais, folder, MODEL_API_URL=endpoint.url, MODEL_NAME="huge", MODEL_API_KEY=KEY)
    assert code == 1
    assert lines["model"].endswith("does not know 'huge'; it has small, large:latest")
    assert lines["memory"].startswith("ok")


def test_key_that_the_endpoint_refuses(pais: Pais, folder: Path) -> None:
    with endpoint_in_thread(models) as endpoint:
        code, lines = lines_of(
            pais, folder, MODEL_API_URL=endpoint.url, MODEL_NAME="small", MODEL_API_KEY="other"
        )
    assert code == 1
    assert "refuses the key" in lines["model"]


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (404, {}, 0, "does not say which models"),
        (500, {}, 1, "status 500"),
        (200, {"data": [{}]}, 1, "not as an OpenAI-compatible endpoint"),
        (200, [], 1, "not as an OpenAI-compatible endpoint"),
    ],
)
def test_endpoint_that_answers_otherwise(
    pais: Pais, folder: Path, status: int, body: object, code: int, said: str
) -> None:
    async def answer(call: ModelCall) -> None:
        await call.respond(status, body)

    with endpoint_in_thread(answer) as endpoint:
        found, lines = lines_of(pais, folder, MODEL_API_URL=endpoint.url, MODEL_NAME="small")
    assert found == code
    assert said in lines["model"]


def test_nothing_is_there(pais: Pais, folder: Path) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    code, lines = lines_of(
        pais,
        folder,
        MODEL_API_URL=f"http://{nowhere}",
        MODEL_NAME="small",
        MEMORY_TYPE="redis",
        MEMORY_REDIS_URL=f"redis://:{KEY}@{nowhere}",
    )
    assert code == 1
    assert "cannot be reached" in lines["model"]
    assert lines["memory"].startswith("failed redis")


def test_wrong_settings_and_broken_files_are_lines_too(pais: Pais, folder: Path) -> None:
    code, lines = lines_of(pais, folder, RUN_TIMEOUT="soon", AGENT_API_KEYS=f":{KEY}:")
    assert (code, [*lines]) == (1, ["settings"])
    assert "RUN_TIMEOUT: 'soon'" in lines["settings"]
    (folder / "server.py").write_text("def\n")
    code, lines = lines_of(pais, folder, DEBUG_MOCK_RESPONSES='["hello"]')
    assert code == 1
    assert "server.py:1" in lines["agent"]


def test_mock_and_the_agents_own_model_need_no_endpoint(pais: Pais, folder: Path) -> None:
    code, lines = lines_of(pais, folder, DEBUG_MOCK_RESPONSES='["hello"]', MEMORY_TYPE="null")
    assert (code, lines["model"], lines["memory"]) == (0, "ok a mock: DEBUG_MOCK_RESPONSES", "ok off")
    (folder / "own.py").write_text("from pydantic_ai import Agent\nmine = Agent('test')\n")
    code, lines = lines_of(pais, folder, "own.py:mine")
    assert (code, lines["model"]) == (0, "ok the agent's own")


def test_sub_agents_have_a_line_each(pais: Pais, folder: Path) -> None:
    with endpoint_in_thread(models) as endpoint:
        code, lines = lines_of(
            pais,
            folder,
            DEBUG_MOCK_RESPONSES='["hi"]',
            AGENT_SUB_AGENTS=f"writer:{endpoint.url},gone:http://127.0.0.1:{free_port()}",
            SUB_AGENT_WRITER_API_KEY=KEY,
        )
    assert code == 1
    assert lines["agent:writer"].startswith("ok")
    assert lines["agent:gone"].endswith("could not be reached")
