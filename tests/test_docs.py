"""What the README and its pages say has to be there."""

import re
from pathlib import Path

import pytest

from pais_lite import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_variables_of_the_manifest_are_settings() -> None:
    named = re.findall(r"name: ([A-Z_]+)\b", (ROOT / "docs" / "kubernetes.md").read_text())
    assert named
    settings = {field.upper() for field in Settings.__dataclass_fields__}
    assert set(named) <= settings
