"""What is installed elsewhere: the lock files of the container image."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", ["otlp"]), ("requirements-mcp.lock", ["otlp", "mcp"])]
)
def test_lock_file_has_what_the_project_asks_for(lock: str, extras: list[str]) -> None:
    text = (ROOT / lock).read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    for line in wanted:
        requirement = Requirement(line)
        assert requirement.specifier.contains(locked[requirement.name]), f"{line}: run .ci/lock"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-mcp.lock"])
def test_lock_file_names_every_file_by_its_hash_and_no_place_to_get_it(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if re.match(r"[a-z0-9-]+==", line):
            assert following.strip().startswith("--hash=sha256:")
        else:
            assert line.startswith(("    --hash=sha256:", "# Written by .ci/lock"))
