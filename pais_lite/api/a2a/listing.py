"""What `ListTasks` is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pais_lite.api.a2a.errors import invalid_params
from pais_lite.api.a2a.fields import known_fields, maybe_flag, maybe_number, maybe_text
from pais_lite.api.a2a.tasks import STATES

__all__ = ["ListRequest", "read_list"]

_DEFAULT_PAGE = 50
_MAX_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRequest:
    """Which tasks are wanted, those that match all that is given, and how much of each."""

    page_size: int
    context_id: str | None = None
    state: str | None = None
    changed_after: datetime | None = None
    page_token: str | None = None
    history_length: int | None = None
    artifacts: bool = False


def read_list(params: Mapping[str, Any]) -> ListRequest:
    """Read the parameters. Raises `RpcError` for one that is not what it has to be."""
    fields = known_fields(params, "params")
    size = maybe_number(fields, "pageSize", least=1, most=_MAX_PAGE)
    return ListRequest(
        page_size=_DEFAULT_PAGE if size is None else size,
        context_id=maybe_text(fields, "contextId"),
        state=_read_state(fields),
        changed_after=_read_moment(fields, "statusTimestampAfter"),
        page_token=maybe_text(fields, "pageToken"),
        history_length=maybe_number(fields, "historyLength"),
        artifacts=maybe_flag(fields, "includeArtifacts") is True,
    )


def _read_state(fields: Mapping[str, Any]) -> str | None:
    state = maybe_text(fields, "status")
    if state is not None and state not in STATES and state != "TASK_STATE_UNSPECIFIED":
        raise invalid_params("has to be a state of tasks, such as TASK_STATE_WORKING", "status")
    return None if state == "TASK_STATE_UNSPECIFIED" else state


def _read_moment(fields: Mapping[str, Any], name: str) -> datetime | None:
    text = maybe_text(fields, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise invalid_params("has to be a moment such as 2026-01-31T10:00:00Z", name) from exc
