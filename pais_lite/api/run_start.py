"""How every protocol begins a run for a client: one place among those that the server has, and the run's names."""

from pais_lite.api.admission import Admission
from pais_lite.api.call import Call
from pais_lite.runs import FollowedRun, NewRun, RunRecord, Runs

__all__ = ["check_admission", "name_run", "start_run"]


def check_admission(call: Call, admission: Admission) -> None:
    """Raise what keeps a run from being begun now, before its request is read."""
    if call.request.header("idempotency-key") is None:
        # A request that comes again begins no run; whether one does is known when it has been read.
        admission.check(call.owner)


async def start_run(call: Call, runs: Runs, admission: Admission, new: NewRun) -> FollowedRun:
    """Start a run, which takes a place until its end; raises as `Runs.start` and `Admission.enter` do."""
    return await runs.start(
        new, on_start=lambda: admission.enter(call.owner), on_end=lambda: admission.leave(call.owner)
    )


def name_run(call: Call, record: RunRecord) -> None:
    """Tell the client which run and which session its answer is about."""
    call.reply.headers["x-session-id"] = record.session_id
    call.reply.headers["x-run-id"] = record.run_id
