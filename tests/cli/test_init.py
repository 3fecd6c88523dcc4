"""`pais init`: what it writes works as it stands."""

import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from dotenv import dotenv_values

from pais_lite.version import __version__
from tests.cli.conftest import Pais
from tests.support.processes import START_TIMEOUT, pais_run

FILES = {
    ".containerignore",
    ".env.example",
    ".gitignore",
    "Containerfile",
    "README.md",
    "pytest.ini",
    "requirements-dev.txt",
    "requirements.txt",
    "server.py",
    "tests/test_server.py",
}


@pytest.fixture
def project(pais: Pais, tmp_path: Path) -> Path:
    done = pais("init", "My Shop", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    return tmp_path / "My Shop"


def test_tests_of_a_new_project_pass_at_once(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_new_project_has_all_its_files_and_no_blanks_to_fill(project: Path) -> None:
    files = {str(path.relative_to(project)): path for path in project.rglob("*") if path.is_file()}
    assert files.keys() == FILES
    text = "".join(path.read_text() for path in files.values())
    assert "PROJECT_NAME" not in text
    assert "PAIS_LITE_VERSION" not in text
    assert files["requirements.txt"].read_text() == f"pais-lite=={__version__}\n"


def test_new_project_is_served_under_its_name(project: Path) -> None:
    with pais_run(cwd=project, env={"DEBUG_MOCK_RESPONSES": '["hello"]'}) as process:
        assert httpx2.get(f"{process.url}/health", trust_env=False).json()["name"] == "my-shop"
        tools = httpx2.get(f"{process.url}/tools", trust_env=False).json()["tools"]
        assert [tool["function"]["name"] for tool in tools] == ["days_between"]


def test_example_of_an_environment_is_one_that_can_be_copied(pais: Pais, project: Path) -> None:
    example = project / ".env.example"
    assert dotenv_values(example) == {"MODEL_API_URL": "http://localhost:11434", "MODEL_NAME": "llama3.2"}
    # With all that is commented out as well, it is still right.
    uncommented = [line.removeprefix("# ") for line in example.read_text().splitlines() if "=" in line]
    (project / ".env").write_text("\n".join(uncommented))
    assert pais("check", cwd=project).out.startswith("settings   ok")


def test_nothing_is_overwritten(pais: Pais, project: Path) -> None:
    (project / "server.py").write_text("mine")
    (project / "Containerfile").unlink()
    done = pais("init", ".", cwd=project)
    assert done.code == 2
    assert "server.py" in done.err
    assert done.err.count("\n") == 1
    assert (project / "server.py").read_text() == "mine"
    assert not (project / "Containerfile").exists()


def test_folder_that_cannot_be_made_is_one_line(pais: Pais, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = pais("init", "file/project", cwd=tmp_path)
    assert done.code == 2
    assert "file" in done.err
    assert done.err.count("\n") == 1
