"""What the package says it has, it has; what users import comes from the top."""

import importlib
import pkgutil
import types

import pytest

import pais_lite

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(pais_lite.__path__, "pais_lite.")
    if not any(part.startswith("_") for part in info.name.split("."))
)


@pytest.mark.parametrize("name", MODULES)
def test_all_lists_what_the_module_has(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is"
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name}.__all__ names {public!r}, which is not there"


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_defines_is_private_or_listed(name: str) -> None:
    module = importlib.import_module(name)
    defined = {
        attribute
        for attribute, value in vars(module).items()
        if isinstance(value, type | types.FunctionType) and value.__module__ == name
    }
    assert {attribute for attribute in defined if not attribute.startswith("_")} <= set(
        getattr(module, "__all__", ())
    )


def test_everything_that_users_import_comes_from_the_top() -> None:
    assert {"serve", "Agent", "AgentServer", "AgentDeps", "Settings"} <= set(pais_lite.__all__)
    assert {"Memory", "LocalMemory", "NullMemory", "MemoryEvent", "SessionMemory"} <= set(pais_lite.__all__)
    assert {"RemoteAgent", "DelegationToolset"} <= set(pais_lite.__all__)


def test_telemetry_that_is_off_imports_no_sdk() -> None:
    import subprocess
    import sys

    program = "import sys, pais_lite; sys.exit('opentelemetry.sdk' in sys.modules or 'openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
