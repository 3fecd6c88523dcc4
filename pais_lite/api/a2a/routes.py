"""`POST /`: A2A over JSON-RPC, for one agent."""

from collections.abc import Mapping
from typing import Any

import anyio

from pais_lite.agent import Agent, RunRequest
from pais_lite.api.a2a import errors
from pais_lite.api.a2a.envelope import (
    RpcCall,
    RpcId,
    error_response_object,
    maybe_id,
    read_call,
    response_object,
)
from pais_lite.api.a2a.errors import from_error
from pais_lite.api.a2a.fields import known_fields, maybe_number, required_text
from pais_lite.api.a2a.listing import read_list
from pais_lite.api.a2a.messages import read_send
from pais_lite.api.a2a.reply import TaskReply
from pais_lite.api.a2a.store import Tasks
from pais_lite.api.a2a.tasks import direct_message, task_object
from pais_lite.api.a2a.turns import Turns
from pais_lite.api.a2a.versions import PUSH_OPERATIONS, STREAMING_OPERATIONS, Version, negotiate
from pais_lite.api.a2a.wire import send_result, task_result
from pais_lite.api.admission import Admission
from pais_lite.api.agent_card import CardMaker
from pais_lite.api.call import Call
from pais_lite.api.observation import ObservedRun
from pais_lite.api.run_options import read_on_disconnect
from pais_lite.encoding import dump_json
from pais_lite.errors import MemoryUnavailable, PaisError, ServerDraining, TooManyRuns
from pais_lite.events import Finished
from pais_lite.http import Response, error_response, json_response, sse
from pais_lite.http.errors import BodyTooLarge, RequestTimeout, UnsupportedMediaType
from pais_lite.runs import Runs
from pais_lite.settings import Settings
from pais_lite.telemetry import Telemetry

__all__ = ["A2A"]

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
        self._turns = Turns(agent, runs, self._tasks, admission, max_request_bytes=settings.max_request_bytes)

    async def handle(self, call: Call) -> None:
        """Answer a call. What is wrong with it is an answer as well, with status 200.

        Raises `PaisError` for a body that is too large or does not come.
        """
        call_id, as_event = None, False
        try:
            body = await self._read_body(call)
            call_id = maybe_id(body)
            rpc = read_call(body)
            asked = call.request.header("a2a-version") or call.request.query.get("A2A-Version")
            version, operation = negotiate(asked, rpc.method)
            # In 0.3, what is not an event stream is no answer to these for the official clients.
            as_event = version == "0.3" and operation in STREAMING_OPERATIONS
            await self._perform(call, rpc, version, operation)
        except PaisError as exc:
            if isinstance(exc, BodyTooLarge | RequestTimeout):
                raise
            if call.reply.started:
                failure = error_response_object(call_id, from_error(exc))
                await call.reply.end(sse.data_event(dump_json(failure)))
            else:
                await call.reply.respond(_failed(call_id, exc, as_event=as_event))

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
        asked = read_list(rpc.params)
        page = await self._tasks.list(call.owner, asked)
        return {
            "tasks": [
                task_object(task, history_length=asked.history_length, artifacts=asked.artifacts)
                for task in page.tasks
            ],
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
        turn = await self._turns.read(call, asked, stream=asked.at_once)
        with self._observed(call, turn.new.request) as observed:
            reply = self._reply(call, rpc, version, observed)
            run, task = await self._turns.start(call, turn)
            observed.follow(run)
            if not asked.at_once:
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
        turn = await self._turns.read(call, asked, stream=True)
        with self._observed(call, turn.new.request) as observed:
            reply = self._reply(call, rpc, version, observed)
            run, task = await self._turns.start(call, turn)
            observed.follow(run)
            await reply.stream(task, run, history_length=asked.history_length, beyond_input=False)

    async def _subscribe(self, call: Call, rpc: RpcCall, version: Version) -> None:
        fields = known_fields(rpc.params, "params")
        task = await self._tasks.find(required_text(fields, "id"), call.owner)
        if task.has_ended:
            raise errors.unsupported("the task has ended; it can be asked for instead")
        run = None
        if task.last.ending is None:
            run = await self._runs.follow(task.last.run_id, call.owner)
        await self._reply(call, rpc, version).stream(task, run, beyond_input=True)

    def _observed(self, call: Call, request: RunRequest) -> ObservedRun:
        name = self._agent.name
        return ObservedRun(self._telemetry, call, agent=name, model=name, request=request)

    def _reply(
        self, call: Call, rpc: RpcCall, version: Version, observed: ObservedRun | None = None
    ) -> TaskReply:
        return TaskReply(
            call,
            rpc.id,
            version,
            self._tasks,
            self._runs,
            is_draining=lambda: self._admission.draining,
            keepalive_seconds=self._settings.sse_keepalive_seconds,
            on_disconnect=read_on_disconnect(call.request, "continue"),
            observed=observed,
        )


def _failed(call_id: RpcId, error: PaisError, *, as_event: bool) -> Response:
    answer = error_response_object(call_id, from_error(error))
    if isinstance(error, TooManyRuns | ServerDraining | MemoryUnavailable):
        # Those who may try again soon are told so as HTTP tells it.
        http = error_response(error)
        return json_response(answer, status=http.status, headers=http.headers)
    if as_event:
        return Response(200, sse.data_event(dump_json(answer)), sse.HEADERS)
    return json_response(answer)


async def _respond(call: Call, rpc: RpcCall, result: Mapping[str, Any]) -> None:
    await call.reply.respond(json_response(response_object(rpc.id, result)))
