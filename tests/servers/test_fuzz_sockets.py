"""The promise: whatever comes over a socket, no 500, no hang, no leak, no internals told, and the server serves on.

`python -m benchmarks.fuzz_http` does the same for as long as one likes.
"""

from pathlib import Path

import pytest

from tests.support.siege import ServerKind, besieged

pytestmark = pytest.mark.anyio

SEED = 20


@pytest.mark.parametrize(("kind", "connections"), [("pais run", 400), ("uvicorn", 150)])
async def test_any_bytes(kind: ServerKind, connections: int, tmp_path: Path) -> None:
    with besieged(kind, tmp_path) as server:
        before = await server.begin(SEED)
        await server.endure(SEED, connections, first=1000)
        await server.settled(before)
        await server.still_serves()
        server.ends_well()
    assert server.wrong == []
    # Not all of it was refused at the first byte.
    assert {"200", "400", "404"} <= set(server.statuses)
