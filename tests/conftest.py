"""What every test shares."""

import os

import pytest

from pais_lite import Settings


@pytest.fixture
def anyio_backend() -> str:
    """Agents need asyncio; tests of what runs on trio as well say so themselves."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the settings of whoever runs the tests, and any `.env` around, out of them."""
    known = {field.upper() for field in Settings.__dataclass_fields__} | {"LOG_LEVEL"}
    for name in list(os.environ):
        if name in known or name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
