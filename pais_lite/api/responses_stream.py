"""A run as the Responses API tells it: as numbered frames of a stream, or as the response that they amount to."""

from collections.abc import Sequence
from typing import Any

from pais_lite.api.responses_events import ResponseEvents
from pais_lite.encoding import dump_json
from pais_lite.events import RunEvent
from pais_lite.http.sse import named_event
from pais_lite.runs import RunRecord

__all__ = ["ResponseStream", "whole_response"]


class ResponseStream:
    """The frames of one run, numbered from 0 without gaps; with `after`, only those behind that number.

    No `[DONE]` follows the last one, which says itself that it is the last.
    """

    def __init__(self, record: RunRecord, *, after: int | None = None) -> None:
        self._events = ResponseEvents(record)
        self._first = 0 if after is None else after + 1
        self._number = 0

    def head(self) -> bytes:
        """Return what goes before the first event of the run."""
        return self._frames(self._events.begin())

    def frames(self, event: RunEvent) -> bytes:
        """Return the frames of one event of the run."""
        return self._frames(self._events.tell(event))

    def _frames(self, events: Sequence[dict[str, Any]]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            if self._number >= self._first:
                payload = {**event, "sequence_number": self._number}
                frames.append(named_event(event["type"], dump_json(payload)))
            self._number += 1
        return b"".join(frames)


def whole_response(record: RunRecord, events: Sequence[RunEvent]) -> dict[str, Any]:
    """Return the response of a run that has ended, of which `events` are all that it said."""
    told = ResponseEvents(record)
    *_, last = [event for said in events for event in told.tell(said)]
    response: dict[str, Any] = last["response"]
    return response
