"""What one run of a task says, as events of a stream, in the shape of 1.0.

A pure function of the run's events and, for its end, of its record, so that everybody who follows a task is sent the same
events in the same order, live or late.
"""

from typing import Any

from pais_lite.agent.card import PROGRESS
from pais_lite.api.a2a.parts import Part, answer_parts
from pais_lite.api.a2a.tasks import ANSWER_ID, Task, status_object, timestamp
from pais_lite.api.progress import progress_object
from pais_lite.events import Finished, Progress, RunEvent, TextDelta
from pais_lite.runs import RunRecord

__all__ = ["TurnEvents", "canceled_event"]


class TurnEvents:
    """The events of one run of `task`, the one with the id `run_id`. Used once, from the run's first event on."""

    def __init__(self, task: Task, run: RunRecord) -> None:
        self._ids = {"taskId": task.id, "contextId": task.context_id}
        self._task_id = task.id
        self._began = timestamp(run.created_at)
        self._has_begun = False
        # What the artifact holds for those who follow.
        self._text: list[str] = []

    def of(self, event: RunEvent) -> list[dict[str, Any]]:
        """Return the events for what the run said; for a `Finished` those before its status, which `ended` is."""
        match event:
            case TextDelta(text=text):
                return [*self._begun(), self._piece({"text": text})]
            case Progress():
                if event.status == "started" and not event.path:
                    # What was said before a tool was called is no answer: the next piece begins it anew.
                    self._text.clear()
                update = self._working(metadata={PROGRESS: progress_object(event)})
                self._has_begun = True
                return [update]
            case Finished():
                return [*self._begun(), *self._rest(event)]
            case _:
                return self._begun()

    def ended(self, record: RunRecord) -> dict[str, Any]:
        """Return the event for the status in which the run left its task."""
        return {"statusUpdate": {**self._ids, "status": status_object(record, task_id=self._task_id)}}

    def _begun(self) -> list[dict[str, Any]]:
        if self._has_begun:
            return []
        self._has_begun = True
        return [self._working()]

    def _working(self, **others: Any) -> dict[str, Any]:
        status = {"state": "TASK_STATE_WORKING", "timestamp": self._began}
        return {"statusUpdate": {**self._ids, "status": status, **others}}

    def _piece(self, part: Part) -> dict[str, Any]:
        update = self._artifact([part], append=bool(self._text))
        self._text.append(part["text"])
        return update

    def _rest(self, finished: Finished) -> list[dict[str, Any]]:
        if self._text and not finished.structured and "".join(self._text) == finished.output:
            # All of it has been sent; a part there has to be.
            return [self._artifact([{"text": ""}], append=True, last=True)]
        parts = answer_parts(finished)
        return [self._artifact(parts, append=False, last=True)] if parts else []

    def _artifact(self, parts: list[Part], *, append: bool, last: bool = False) -> dict[str, Any]:
        artifact = {"artifactId": ANSWER_ID, "parts": parts}
        return {"artifactUpdate": {**self._ids, "artifact": artifact, "append": append, "lastChunk": last}}


def canceled_event(task: Task) -> dict[str, Any]:
    """Return the event for a task that was canceled while it waited for its client."""
    status = {"state": task.state, "timestamp": timestamp(task.changed_at)}
    return {"statusUpdate": {"taskId": task.id, "contextId": task.context_id, "status": status}}
