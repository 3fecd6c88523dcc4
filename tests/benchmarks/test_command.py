import json
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.field.environments import Environments, NotInstalled, find_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_the_command_measures_us_and_the_floor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    us = "pais-uvicorn"
    options = [
        "--quick",
        "--no-install",
        "--rounds",
        "1",
        "--servers",
        us,
        "floor",
        "--output",
        str(tmp_path),
    ]
    assert main(["footprint", *options]) == 0
    told = capsys.readouterr()
    assert "Resident memory after 200 streamed answers:" in told.out
    assert "Left out" not in told.out
    assert f"resident memory: {us}" in told.err
    results = json.loads((tmp_path / "results.json").read_text())
    busy = results["figures"]["footprint.busy"]["samples"]
    assert busy[us][0] > busy["floor"][0] > 10
    assert results["versions"][us]["pais-lite"]
    assert (tmp_path / "report.md").read_text() == told.out.removesuffix("\n")
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".md", ".png", ".svg"}


def test_an_interpreter_is_asked_for_its_version() -> None:
    here = "{}.{}".format(*sys.version_info)
    assert find_python(here) == Path(sys.executable)
    assert find_python("2.99") is None


def test_what_cannot_be_installed_is_said(tmp_path: Path) -> None:
    environments = Environments(tmp_path, Path(sys.executable), lambda _: None)
    with pytest.raises(NotInstalled, match="not-there"):
        environments.get("broken", [str(tmp_path / "not-there")])
