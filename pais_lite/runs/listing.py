"""Which runs a listing shows, and where its next page begins."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from pais_lite.errors import InvalidRequest
from pais_lite.runs.base import RunRecord, RunStatus

__all__ = ["RunFilter", "cursor_after", "position_of", "read_cursor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """What all runs of a listing have in common; what is `None` may be anything."""

    protocol: str | None = None
    session_id: str | None = None
    statuses: Collection[RunStatus] | None = None
    updated_after: datetime | None = None

    def matches(self, record: RunRecord) -> bool:
        """Tell whether the listing shows this run."""
        return (
            (self.protocol is None or record.protocol == self.protocol)
            and (self.session_id is None or record.session_id == self.session_id)
            and (self.statuses is None or record.status in self.statuses)
            and (self.updated_after is None or record.updated_at >= self.updated_after)
        )


def position_of(record: RunRecord) -> tuple[datetime, str]:
    """Return what a listing is ordered by, the greatest first."""
    return record.updated_at, record.run_id


def cursor_after(record: RunRecord) -> str:
    """Return the cursor of the page that begins after this run."""
    return f"{record.updated_at.isoformat()}~{record.run_id}"


def read_cursor(cursor: str) -> tuple[datetime, str]:
    """Return the position at which the page before ended.

    Raises:
        InvalidRequest: the cursor did not come from an earlier page.
    """
    moment, tilde, run_id = cursor.partition("~")
    try:
        if not tilde:
            raise ValueError(cursor)
        return datetime.fromisoformat(moment).astimezone(UTC), run_id
    except (ValueError, OverflowError) as exc:
        raise InvalidRequest("cursor is not one of this listing's", param="cursor") from exc
