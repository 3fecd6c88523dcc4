"""Who gets a place when there are not enough."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from pais_lite.api import admission as admission_module
from pais_lite.api.admission import Admission
from pais_lite.errors import ServerDraining, TooManyRuns

pytestmark = pytest.mark.anyio


async def test_all_places_are_anybodys() -> None:
    admission = Admission(3)
    for _ in range(3):
        admission.enter("alice")
    with pytest.raises(TooManyRuns):
        admission.enter("bob")


async def test_refused_owner_is_next_when_another_holds_all_places() -> None:
    admission = Admission(2)
    admission.enter("alice")
    admission.enter("alice")
    with pytest.raises(TooManyRuns):
        admission.enter("bob")
    admission.leave("alice")
    # Alice is faster, and has had her share.
    with pytest.raises(TooManyRuns):
        admission.enter("alice")
    admission.enter("bob")
    admission.leave("alice")
    admission.enter("alice")
    assert admission.runs.count == 2


async def test_owners_end_up_with_equal_shares_however_fast_one_of_them_asks() -> None:
    admission = Admission(8)
    running: list[str] = []

    def ask(owner: str, times: int) -> None:
        for _ in range(times):
            try:
                admission.enter(owner)
            except TooManyRuns:
                continue
            running.append(owner)

    ask("alice", 100)
    for _ in range(30):
        admission.leave(running.pop(0))
        ask("alice", 10)
        ask("bob", 1)
    assert running.count("bob") >= 3
    assert running.count("alice") >= 3


async def test_place_is_not_kept_for_who_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_module, "_CLAIM_SECONDS", -1.0)
    admission = Admission(1)
    admission.enter("alice")
    with pytest.raises(TooManyRuns):
        admission.enter("bob")
    admission.leave("alice")
    admission.enter("alice")


async def test_draining_comes_first() -> None:
    admission = Admission(1)
    admission.enter("alice")
    admission.draining = True
    for check in (admission.check, admission.enter):
        with pytest.raises(ServerDraining):
            check("alice")


async def test_server_that_begins_anew_has_told_nobody_that_it_drains() -> None:
    admission = Admission(1)
    admission.draining = True
    admission.readiness.asked(draining=True)
    admission.begin_anew()
    admission.check("alice")
    admission.readiness.asked(draining=False)
    told: list[str] = []

    async def wait() -> None:
        await admission.readiness.everybody_told()
        told.append("now")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            for _ in range(3):
                await checkpoint()
            # Of this second drain, nobody has heard so far.
            assert told == []
            admission.readiness.asked(draining=True)
    assert told == ["now"]


async def test_server_that_begins_anew_waits_for_nobody_who_asked_before() -> None:
    admission = Admission(1)
    admission.readiness.asked(draining=False)
    admission.begin_anew()
    with anyio.fail_after(5):
        await admission.readiness.everybody_told()


async def test_who_was_refused_before_a_new_beginning_has_no_claim() -> None:
    admission = Admission(1)
    admission.enter("alice")
    with pytest.raises(TooManyRuns):
        admission.enter("bob")
    admission.leave("alice")
    admission.begin_anew()
    admission.enter("alice")
    assert admission.runs.count == 1
