"""Runs that are kept in Redis, so that any replica finds, follows and ends any run, and none is lost in silence."""

from pais_lite.runs.redis.runs import RedisRuns

__all__ = ["RedisRuns"]
