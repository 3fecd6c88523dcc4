"""The runs that messages ask for: one that begins a task, or one that goes on with a task that waits for its client."""

import hashlib
from dataclasses import dataclass
from typing import Any

from pais_lite.agent import Agent, RunRequest
from pais_lite.agent.pause import new_session_id
from pais_lite.api.a2a import errors
from pais_lite.api.a2a.errors import invalid_params
from pais_lite.api.a2a.messages import ClientMessage, SendRequest, read_answers
from pais_lite.api.a2a.parts import prompt_of
from pais_lite.api.a2a.store import FIRST_TURN, LATER_TURN, Tasks
from pais_lite.api.a2a.tasks import Task
from pais_lite.api.admission import Admission
from pais_lite.api.call import Call
from pais_lite.api.delegated import Origin, read_origin
from pais_lite.api.run_options import read_once
from pais_lite.api.run_start import name_run, start_run
from pais_lite.encoding import dump_json
from pais_lite.errors import Conflict
from pais_lite.runs import FollowedRun, NewRun, Once, Runs, new_run_id

__all__ = ["Turn", "Turns"]


@dataclass(frozen=True, slots=True)
class Turn:
    """A run that is about to be started, and the task that it goes on with, where it does not begin one."""

    new: NewRun
    task: Task | None


class Turns:
    """Makes and starts the runs of the tasks of one agent."""

    def __init__(
        self, agent: Agent, runs: Runs, tasks: Tasks, admission: Admission, *, max_request_bytes: int
    ) -> None:
        self._agent = agent
        self._runs = runs
        self._tasks = tasks
        self._admission = admission
        self._max_request_bytes = max_request_bytes

    async def read(self, call: Call, asked: SendRequest, *, stream: bool) -> Turn:
        """Return the run that a message asks for.

        Raises:
            RpcError: its task is not there, takes no message now, or the message does not fit.
        """
        message = asked.message
        origin = read_origin(call.request, self._agent)
        prompt = prompt_of(message.parts)
        if message.task_id is None:
            run_id = new_run_id()
            context_id = message.context_id or new_session_id()
            request = RunRequest(
                prompt=prompt,
                session_id=context_id,
                owner=call.owner,
                stream=stream,
                streams_structured=False,
                chain=origin.chain,
                timeout=origin.timeout,
                metadata=_metadata(asked, run_id, context_id),
            )
            once = read_once(call.request, await call.request.read_json(self._max_request_bytes))
            details = _details(message, run_id, context_id)
            new = NewRun(request=request, protocol=FIRST_TURN, details=details, run_id=run_id, once=once)
            return Turn(new, None)
        task = await self._tasks.find(message.task_id, call.owner)
        if message.context_id is not None and message.context_id != task.context_id:
            raise invalid_params("is not that of the task", "message.contextId")
        return Turn(self._going_on(task, asked, origin, stream=stream), task)

    def _going_on(self, task: Task, asked: SendRequest, origin: Origin, *, stream: bool) -> NewRun:
        if task.has_ended:
            raise errors.unsupported("the task has ended and takes no more messages; a new one can be begun")
        if task.last.ending is None:
            raise errors.unsupported("the task is being worked on, and takes a message when it asks for one")
        answers = read_answers(asked.message.parts, task.waiting_calls)
        request = RunRequest(
            session_id=task.context_id,
            owner=task.owner,
            stream=stream,
            streams_structured=False,
            chain=origin.chain,
            timeout=origin.timeout,
            tool_results=answers.results,
            approvals=answers.approvals,
            metadata=_metadata(asked, task.id, task.context_id),
        )
        details = _details(asked.message, task.id, task.context_id)
        # Of two who answer at the same moment, one goes on with the task. No client's own key begins with a space.
        key = f" a2a {task.id} {len(task.turns)}"
        fingerprint = hashlib.sha256(dump_json([asked.message.message_id, list(asked.message.parts)]))
        once = Once(key, fingerprint.hexdigest())
        return NewRun(request=request, protocol=LATER_TURN, details=details, once=once)

    async def start(self, call: Call, turn: Turn) -> tuple[FollowedRun, Task]:
        """Start a run, and return it with its task as it is then, which anybody finds by now."""
        try:
            run = await start_run(call, self._runs, self._admission, turn.new)
        except Conflict as exc:
            if turn.task is None:
                raise
            raise errors.unsupported("another message goes on with the task already") from exc
        record = await self._runs.registered(run.record.run_id, call.owner) if run.is_new else run.record
        name_run(call, record)
        if turn.task is None:
            return run, await self._tasks.find(record.run_id, call.owner)
        return run, await self._tasks.went_on(turn.task, record.run_id)


def _details(message: ClientMessage, task_id: str, context_id: str) -> dict[str, Any]:
    kept = message.to_dict(task_id=task_id, context_id=context_id)
    return {} if kept is None else {"message": kept}


def _metadata(asked: SendRequest, task_id: str, context_id: str) -> dict[str, Any]:
    """Return what the agent's own code sees of the request, as `ctx.metadata["a2a"]`."""
    return {
        "a2a": {
            "task_id": task_id,
            "context_id": context_id,
            "message_id": asked.message.message_id,
            "metadata": dict(asked.message.metadata),
            "request_metadata": dict(asked.metadata),
        }
    }
