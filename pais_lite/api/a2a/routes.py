"""`POST /`: A2A over JSON-RPC, for one agent."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import anyio

from pais_lite.agent import Agent, RunRequest
from pais_lite.agent.pause import new_session_id
from pais_lite.api.a2a import errors
from pais_lite.api.a2a.envelope import RpcCall, error_response_object, maybe_id, read_call, response_object
from pais_lite.api.a2a.errors import from_error, invalid_params
from pais_lite.api.a2a.fields import known_fields, maybe_flag, maybe_number, maybe_text, required_text
from pais_lite.api.a2a.messages import ClientMessage, SendRequest, read_answers, read_send
from pais_lite.api.a2a.parts import prompt_of
from pais_lite.api.a2a.reply import TaskReply
from pais_lite.api.a2a.store import FIRST_TURN, LATER_TURN, ListRequest, Tasks
from pais_lite.api.a2a.tasks import STATES, Task, direct_message, task_object
from pais_lite.api.a2a.versions import PUSH_OPERATIONS, Version, negotiate
from pais_lite.api.a2a.wire import send_result, task_result
from pais_lite.api.admission import Admission
from pais_lite.api.agent_card import CardMaker
from pais_lite.api.call import Call
from pais_lite.api.delegated import Origin, read_origin
from pais_lite.api.observation import ObservedRun
from pais_lite.api.run_options import read_on_disconnect, read_once
from pais_lite.encoding import dump_json
from pais_lite.errors import Conflict, MemoryUnavailable, PaisError, ServerDraining, TooManyRuns
from pais_lite.events import Finished
from pais_lite.http import error_response, json_response
from pais_lite.http.errors import UnsupportedMediaType
from pais_lite.runs import FollowedRun, NewRun, Once, Runs, new_run_id
from pais_lite.settings import Settings
from pais_lite.telemetry import Telemetry

__all__ = ["A2A"]

_DEFAULT_PAGE = 50
_MAX_PAGE = 100
_UNREAD_BODY_TIMEOUT = 5.0


class A2A:
    """The route, for one agent."""

    def __init__(
        self,
        agent: Agent,
        runs: Runs,
        settings: Settings,
        admission: Admission,
        telemetry: Telemetry,
        cards: CardMaker,
    ) -> None:
        self._agent = agent
        self._runs = runs
        self._settings = settings
        self._admission = admission
        self._telemetry = telemetry
        self._cards = cards
        self._tasks = Tasks(runs)

    async def handle(self, call: Call) -> None:
        """Answer a call. What is wrong with it is an answer as well, with status 200."""
        call_id = None
        try:
            body = await self._read_body(call)
            call_id = maybe_id(body)
            rpc = read_call(body)
            asked = call.request.header("a2a-version") or call.request.query.get("A2A-Version")
            version, operation = negotiate(asked, rpc.method)
            await self._perform(call, rpc, version, operation)
        except PaisError as exc:
            if call.reply.started:
                raise
            answer = error_response_object(call_id, from_error(exc))
            # Those who may try again soon are told so as HTTP tells it.
            if isinstance(exc, TooManyRuns | ServerDraining | MemoryUnavailable):
                http = error_response(exc)
                await call.reply.respond(json_response(answer, status=http.status, headers=http.headers))
            else:
                await call.reply.respond(json_response(answer))

    async def _read_body(self, call: Call) -> Any:
        try:
            return await call.request.read_json(self._settings.max_request_bytes)
        except UnsupportedMediaType:
            with anyio.move_on_after(_UNREAD_BODY_TIMEOUT):
                await call.request.discard_body()
            raise

    async def _perform(self, call: Call, rpc: RpcCall, version: Version, operation: str) -> None:
        if operation in PUSH_OPERATIONS:
            raise errors.push_not_supported()
        match operation:
            case "SendMessage":
                await self._send(call, rpc, version)
            case "SendStreamingMessage":
                await self._send_streaming(call, rpc, version)
            case "SubscribeToTask":
                await self._subscribe(call, rpc, version)
            case "GetTask":
                fields = known_fields(rpc.params, "params")
                length = maybe_number(fields, "historyLength")
                task = await self._tasks.find(required_text(fields, "id"), call.owner)
                await _respond(call, rpc, task_result(task_object(task, history_length=length), version))
            case "CancelTask":
                fields = known_fields(rpc.params, "params")
                task = await self._tasks.find(required_text(fields, "id"), call.owner)
                await _respond(call, rpc, task_result(task_object(await self._tasks.cancel(task)), version))
            case "ListTasks":
                await _respond(call, rpc, await self._list(call, rpc))
            case _:
                await _respond(call, rpc, await self._extended_card(call, version))

    async def _list(self, call: Call, rpc: RpcCall) -> dict[str, Any]:
        fields = known_fields(rpc.params, "params")
        size = maybe_number(fields, "pageSize", least=1, most=_MAX_PAGE)
        length = maybe_number(fields, "historyLength")
        artifacts = maybe_flag(fields, "includeArtifacts") is True
        asked = ListRequest(
            page_size=_DEFAULT_PAGE if size is None else size,
            context_id=maybe_text(fields, "contextId"),
            state=_read_state(fields),
            changed_after=_read_moment(fields, "statusTimestampAfter"),
            page_token=maybe_text(fields, "pageToken"),
        )
        page = await self._tasks.list(call.owner, asked)
        return {
            "tasks": [task_object(task, history_length=length, artifacts=artifacts) for task in page.tasks],
            "nextPageToken": page.next_token,
            "pageSize": asked.page_size,
            "totalSize": page.total,
        }

    async def _extended_card(self, call: Call, version: Version) -> dict[str, Any]:
        if not self._settings.agent_api_keys:
            raise (
                errors.no_extended_card()
                if version == "0.3"
                else errors.unsupported("there is no extended card")
            )
        return await self._cards.card(call.request, version)

    async def _send(self, call: Call, rpc: RpcCall, version: Version) -> None:
        asked = read_send(rpc.params, version)
        turn = await self._turn(call, asked, stream=asked.at_once)
        with self._observed(call, turn.new.request) as observed:
            run, task = await self._start(call, turn)
            observed.follow(run)
            if not asked.at_once:
                reply = self._reply(call, rpc, version, observed)
                ending = await reply.ending(run)
                if ending is None:
                    return
                if turn.task is None and isinstance(ending, Finished) and ending.is_message:
                    # There is no task: the agent answered with a word.
                    await self._runs.delete(run.record.run_id, call.owner)
                    message = direct_message(run.record, ending)
                    await _respond(call, rpc, send_result({"message": message}, version))
                    return
                task = await self._tasks.find(task.id, call.owner)
            else:
                run.leave()
            found = task_object(task, history_length=asked.history_length)
            await _respond(call, rpc, send_result({"task": found}, version))

    async def _send_streaming(self, call: Call, rpc: RpcCall, version: Version) -> None:
        asked = read_send(rpc.params, version)
        turn = await self._turn(call, asked, stream=True)
        with self._observed(call, turn.new.request) as observed:
            run, task = await self._start(call, turn)
            observed.follow(run)
            await self._reply(call, rpc, version, observed).stream(
                task, run, history_length=asked.history_length, beyond_input=False
            )

    async def _subscribe(self, call: Call, rpc: RpcCall, version: Version) -> None:
        fields = known_fields(rpc.params, "params")
        task = await self._tasks.find(required_text(fields, "id"), call.owner)
        if task.has_ended:
            raise errors.unsupported("the task has ended; it can be asked for instead")
        run = None
        if task.last.ending is None:
            run = await self._runs.follow(task.last.run_id, call.owner)
        await self._reply(call, rpc, version).stream(task, run, beyond_input=True)

    async def _turn(self, call: Call, asked: SendRequest, *, stream: bool) -> "_Turn":
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
            once = read_once(call.request, await call.request.read_json(self._settings.max_request_bytes))
            details = _details(message, run_id, context_id)
            new = NewRun(request=request, protocol=FIRST_TURN, details=details, run_id=run_id, once=once)
            return _Turn(new, None)
        task = await self._tasks.find(message.task_id, call.owner)
        if message.context_id is not None and message.context_id != task.context_id:
            raise invalid_params("is not that of the task", "message.contextId")
        return _Turn(self._going_on(task, asked, origin, stream=stream), task)

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

    async def _start(self, call: Call, turn: "_Turn") -> tuple[FollowedRun, Task]:
        """Start a run, and return it with its task as it is then, which anybody finds by now."""
        try:
            run = await self._runs.start(
                turn.new,
                on_start=lambda: self._admission.enter(call.owner),
                on_end=lambda: self._admission.leave(call.owner),
            )
        except Conflict as exc:
            if turn.task is None:
                raise
            raise errors.unsupported("another message goes on with the task already") from exc
        record = await self._runs.registered(run.record.run_id, call.owner) if run.is_new else run.record
        call.reply.headers["x-session-id"] = record.session_id
        call.reply.headers["x-run-id"] = record.run_id
        if turn.task is None:
            return run, await self._tasks.find(record.run_id, call.owner)
        return run, await self._tasks.went_on(turn.task, record.run_id)

    def _observed(self, call: Call, request: RunRequest) -> ObservedRun:
        name = self._agent.name
        return ObservedRun(self._telemetry, call, route=call.route, agent=name, model=name, request=request)

    def _reply(
        self, call: Call, rpc: RpcCall, version: Version, observed: ObservedRun | None = None
    ) -> TaskReply:
        return TaskReply(
            call,
            rpc.id,
            version,
            self._tasks,
            self._runs,
            keepalive_seconds=self._settings.sse_keepalive_seconds,
            on_disconnect=read_on_disconnect(call.request, "continue"),
            observed=observed,
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    """A run that is about to be started, and the task that it goes on with, where it does not begin one."""

    new: NewRun
    task: Task | None


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


async def _respond(call: Call, rpc: RpcCall, result: Mapping[str, Any]) -> None:
    await call.reply.respond(json_response(response_object(rpc.id, result)))
