"""A run's life beyond its connection: who finds it, who follows it, who ends it, and whose turn it is."""

from pais_lite.runs.base import FollowedRun, NewRun, Once, RunPage, RunRecord, Runs, RunStatus
from pais_lite.runs.local import LocalRuns

__all__ = ["FollowedRun", "LocalRuns", "NewRun", "Once", "RunPage", "RunRecord", "RunStatus", "Runs"]
