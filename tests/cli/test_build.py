"""`pais build`, with stand-ins for the tools that write down what they are asked."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Pais


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "My Shop"
    folder.mkdir()
    (folder / "Containerfile").write_text("FROM scratch\n")
    return folder


def install(folder: Path, **tools: str) -> dict[str, str]:
    """Make tools that run these shell lines, and return an environment in which there are no others."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name, script in tools.items():
        (bin_folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (bin_folder / name).chmod(0o755)
    return {**os.environ, "PATH": str(bin_folder)}


def test_image_is_built_with_progress_and_ends_with_how_to_run_it(
    pais: Pais, project: Path, tmp_path: Path
) -> None:
    env = install(tmp_path, podman='echo "asked: $@"')
    done = pais("build", "--name", "team/shop", "--tag", "1.0", "--option=--pull=never", cwd=project, env=env)
    assert done.code == 0, done.err
    assert "asked: build -t team/shop:1.0 -f Containerfile --pull=never ." in done.out
    assert "podman run --read-only -p 8000:8000 --env-file .env team/shop:1.0" in done.out


def test_name_is_the_folders_unless_given(pais: Pais, project: Path, tmp_path: Path) -> None:
    env = install(tmp_path, buildah='echo "asked: $@"')
    done = pais("build", cwd=project, env=env)
    assert "asked: build -t my-shop:latest" in done.out


def test_docker_without_its_daemon_is_passed_over(pais: Pais, project: Path, tmp_path: Path) -> None:
    env = install(tmp_path, docker="exit 1", podman="exit 0")
    done = pais("build", cwd=project, env=env)
    assert (done.code, done.err) == (0, "")
    assert "with podman" in done.out


@pytest.mark.parametrize(
    ("tools", "arguments", "said"),
    [
        ({}, [], "needs docker, podman or buildah"),
        ({"docker": "exit 1"}, [], "is its daemon running?"),
        ({"podman": '[ "$1" = --version ] || exit 7'}, [], "podman failed with exit code 7"),
        ({"podman": "exit 0"}, ["--name", "My Shop"], "--name: 'My Shop'"),
        ({"podman": "exit 0"}, ["--name", "--version"], "--name"),
        ({"podman": "exit 0"}, ["--tag", "a:b"], "--tag: 'a:b'"),
        ({"podman": "exit 0"}, ["elsewhere"], "elsewhere has no Containerfile"),
    ],
)
def test_what_cannot_be_built_is_said(
    pais: Pais, project: Path, tmp_path: Path, tools: dict[str, str], arguments: list[str], said: str
) -> None:
    done = pais("build", *arguments, cwd=project, env=install(tmp_path, **tools))
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
