"""An agent in a file, as users have it."""

from pathlib import Path

import pytest

SERVER = """
import asyncio
import time
from pydantic_ai import Agent

agent = Agent(name="greeter")

@agent.tool_plain
async def rest(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"

@agent.tool_plain
def block(seconds: float) -> str:
    time.sleep(seconds)
    return "blocked"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "server.py").write_text(SERVER)
    return tmp_path
