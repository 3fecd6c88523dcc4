"""Pages of an owner's runs."""

from typing import get_args

from pais_lite.memory.redis_commands import microseconds, scored
from pais_lite.resp import Command
from pais_lite.runs.base import RunPage, RunProtocol, RunRecord
from pais_lite.runs.listing import RunFilter, cursor_after, position_of, read_cursor
from pais_lite.runs.redis.store import RunStore

__all__ = ["read_page"]

# Records that are read in one round trip.
_RECORDS_AT_ONCE = 100
_PROTOCOLS: tuple[str, ...] = get_args(RunProtocol)


async def read_page(
    store: RunStore, owner: str, wanted: RunFilter, *, limit: int, cursor: str | None
) -> RunPage:
    """Return the owner's runs that `wanted` matches, the latest updated first, from where `cursor` left off.

    All that may match are read, since all are counted. Raises `InvalidRequest` for a foreign cursor, and
    `MemoryUnavailable`.
    """
    after = None if cursor is None else read_cursor(cursor)
    lowest = "-inf" if wanted.updated_after is None else microseconds(wanted.updated_after)
    protocols = _PROTOCOLS if wanted.protocol is None else [wanted.protocol]
    indexes: list[Command] = [
        ("ZREVRANGEBYSCORE", store.index_key(owner, protocol), "+inf", lowest, "WITHSCORES")
        for protocol in protocols
    ]
    found = [entry for reply in await store.pipeline(indexes) for entry in scored(reply)]
    ids = [name for name, _ in sorted(found, key=lambda entry: (entry[1], entry[0]), reverse=True)]
    page: list[RunRecord] = []
    total, has_more = 0, False
    for place in range(0, len(ids), _RECORDS_AT_ONCE):
        batch = ids[place : place + _RECORDS_AT_ONCE]
        commands: list[Command] = [("HGETALL", store.run_key(owner, name)) for name in batch]
        for name, reply in zip(batch, await store.pipeline(commands), strict=True):
            record = store.maybe_record(name, owner, reply)
            # One may have expired, or have been forgotten, before the index knew.
            if record is None or not wanted.matches(record):
                continue
            total += 1
            if after is not None and position_of(record) >= after:
                continue
            has_more = has_more or len(page) == limit
            if len(page) < limit:
                page.append(record)
    return RunPage(page, cursor_after(page[-1]) if has_more and page else None, total)
