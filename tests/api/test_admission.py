"""Who gets a place when there are not enough."""

import pytest

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
