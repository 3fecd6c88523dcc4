"""New versions roll out under load without anybody noticing."""

import pytest

from benchmarks.rolling_restart import roll

pytestmark = pytest.mark.anyio


async def test_replicas_restarted_one_after_the_other_break_no_stream_and_refuse_nobody() -> None:
    report = await roll(clients=6, rounds=1)
    assert report.exit_codes == [0, 0]
    assert report.load.wrong == []
    assert not report.load.honest
    assert report.load.right > 6
    # None was cut off and asked again: all that was tried twice had been refused before it began.
    assert report.retried.keys() <= {"503", "ConnectionRefusedError"}
