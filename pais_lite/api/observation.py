"""What telemetry gets to know of a run that a route serves: when it begins, its first token, and how it ends."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pais_lite.agent import RunRequest, run_outcome
from pais_lite.api.call import Call
from pais_lite.errors import RunCancelled
from pais_lite.events import Failed, RunEvent, TextDelta, ThinkingDelta, ToolCallStarted
from pais_lite.http import ClientDisconnected, error_response
from pais_lite.runs import FollowedRun
from pais_lite.telemetry import Outcome, ServedRequest, Telemetry

__all__ = ["ObservedRun"]


class ObservedRun:
    """Open from before a run is started until its response has ended. `follow` tells it which run that is.

    With `outlasts_response`, the span goes on until the block is left.
    """

    def __init__(
        self, telemetry: Telemetry, call: Call, *, agent: str, model: str, request: RunRequest
    ) -> None:
        http = call.request
        self._call = call
        self._run: FollowedRun | None = None
        self.outlasts_response = False
        self._span = telemetry.server_run(
            ServedRequest(
                method=http.method,
                route=call.route,
                path=http.path,
                scheme=http.scheme,
                http_version=http.http_version,
                headers=http.raw_headers,
                server=http.server,
                agent=agent,
                model=model,
                session_id=request.session_id,
                stream=request.stream,
            )
        )
        # The run's own line takes the place of the request's.
        call.reply.is_logged = telemetry.logs_runs

    def __enter__(self) -> Self:
        self._span.__enter__()
        return self

    def follow(self, run: FollowedRun) -> None:
        """Take the end of `run` for how the request ended."""
        self._run = run

    def saw(self, events: Sequence[RunEvent]) -> None:
        """Look for the first token among events that are about to be sent."""
        if self._span.waits_for_first_token and any(
            isinstance(event, TextDelta | ThinkingDelta | ToolCallStarted) for event in events
        ):
            self._span.first_token()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span.wants_outcome:
            ended_at = None if self.outlasts_response else self._call.reply.ended_at
            self._span.finish(self._outcome(error), ended_at=ended_at)
        self._span.__exit__(kind, error, traceback)

    def _outcome(self, raised: BaseException | None) -> Outcome:
        ending = self._run.maybe_ending if self._run is not None else None
        # Some hosts cancel the request of a client that left.
        gone = isinstance(raised, asyncio.CancelledError | ClientDisconnected)
        left = gone or self._call.request.has_disconnected
        error = None if gone else raised
        if isinstance(ending, Failed) and not (left and isinstance(ending.error, RunCancelled)):
            error = ending.error
        return run_outcome(
            ending, error, status=self._call.reply.status or _status_to_come(error), client_left=left
        )


def _status_to_come(error: BaseException | None) -> int | None:
    """Return what the server is going to answer to an exception that leaves the route."""
    return error_response(error).status if isinstance(error, Exception) else None
