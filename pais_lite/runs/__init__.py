"""A run's life beyond its connection: who finds it, who follows it, who ends it, and whose turn it is."""

from pais_lite.runs.base import (
    FollowedRun,
    NewRun,
    Once,
    RunPage,
    RunRecord,
    Runs,
    RunStatus,
    new_run_id,
    status_of,
)
from pais_lite.runs.local import LocalRuns
from pais_lite.runs.redis import RedisRuns

__all__ = [
    "FollowedRun",
    "LocalRuns",
    "NewRun",
    "Once",
    "RedisRuns",
    "RunPage",
    "RunRecord",
    "RunStatus",
    "Runs",
    "new_run_id",
    "status_of",
]
