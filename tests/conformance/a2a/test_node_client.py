"""The official JavaScript client, unmodified, against a card of either version: by that of 0.3, it speaks 0.3."""

import json
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.conformance.a2a.agent import HELLO

pytestmark = [pytest.mark.anyio, pytest.mark.node]

TIMEOUT = 60
DONE = "TASK_STATE_COMPLETED"


async def test_card_send_stream_get_cancel_resubscribe(served_url: str, project: Path) -> None:
    command = ["node", "report.mjs", "a2a.mjs", served_url]
    with anyio.fail_after(TIMEOUT):
        done = await anyio.run_process(command, cwd=project, check=False, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["card"] == {"name": "tck", "streaming": True}
    assert report["send"] == {"state": DONE, "text": HELLO}
    assert report["stream"] == {
        "kinds": ["task", "statusUpdate", "artifactUpdate"],
        "text": "chunk-1 chunk-2",
        "state": DONE,
        "got": "chunk-1 chunk-2",
        "history": 1,
    }
    assert report["goOn"] == {"asked": "TASK_STATE_INPUT_REQUIRED", "same": True, "state": DONE}
    assert report["cancel"] == {"state": "TASK_STATE_CANCELED", "again": "JsonRpcTaskNotCancelableError"}
    assert (report["resubscribe"]["text"], report["resubscribe"]["state"]) == ("Still here. Done.", DONE)
