"""`/v1/responses`: runs of the agent by the OpenAI Responses API, and what becomes of them later.

A response is a run, whichever protocol began it: `X-Run-ID` of a chat completion names a response as well.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

from pais_lite.agent import Agent
from pais_lite.api.admission import Admission
from pais_lite.api.call import Call
from pais_lite.api.delegated import read_origin
from pais_lite.api.observation import ObservedRun
from pais_lite.api.responses_objects import failure_response, item_page, response_object
from pais_lite.api.responses_request import ResponsesRequest, previous_response_id, read_responses_request
from pais_lite.api.responses_stream import ResponseStream, whole_response
from pais_lite.api.run_options import read_on_disconnect, read_once
from pais_lite.api.run_reply import RunReply, whole_log
from pais_lite.api.run_start import check_admission, name_run, start_run
from pais_lite.errors import InvalidRequest, LogTruncated, NotFound, RunCancelled
from pais_lite.events import RunEvent
from pais_lite.http import json_response
from pais_lite.runs import FollowedRun, NewRun, RunRecord, Runs
from pais_lite.settings import Settings
from pais_lite.telemetry import Telemetry

__all__ = ["Responses"]

_DEFAULT_ITEMS = 20
_MAX_ITEMS = 100


class Responses:
    """The routes, for one agent."""

    def __init__(
        self, agent: Agent, runs: Runs, settings: Settings, admission: Admission, telemetry: Telemetry
    ) -> None:
        self._agent = agent
        self._runs = runs
        self._settings = settings
        self._admission = admission
        self._telemetry = telemetry

    async def create(self, call: Call) -> None:
        """Begin a response. Raises `PaisError` for what fails before the answer has begun."""
        check_admission(call, self._admission)
        body = await call.request.read_json(self._settings.max_request_bytes)
        previous = previous_response_id(body)
        asked = read_responses_request(
            body,
            previous=None if previous is None else await self._find_previous(previous, call.owner),
            session_header=call.request.header("x-session-id"),
            owner=call.owner,
            default_model=self._agent.name,
            origin=read_origin(call.request, self._agent),
        )
        once = read_once(call.request, body)
        on_disconnect = read_on_disconnect(call.request, self._settings.on_disconnect)
        with ObservedRun(
            self._telemetry,
            call,
            agent=self._agent.name,
            model=asked.model,
            request=asked.run,
        ) as observed:
            new = NewRun(
                request=asked.run,
                protocol="responses",
                details=asked.details,
                once=once,
                store=asked.store,
            )
            run = await start_run(call, self._runs, self._admission, new)
            observed.follow(run)
            name_run(call, run.record)
            await self._reply(call, asked, run, on_disconnect, observed)

    async def retrieve(self, call: Call) -> None:
        """Answer with a response as it is now, or with what it says from some event on, as a stream."""
        query = call.request.query
        if _read_flag(query.get("stream"), "stream") and call.request.method != "HEAD":
            await self._resume(call, after=_read_number(query.get("starting_after")))
            return
        record = await self._runs.get(call.params["id"], call.owner)
        name_run(call, record)
        await call.reply.respond(json_response(await self._object(record)))

    async def cancel(self, call: Call) -> None:
        """End a response that is under way, in the background or not; one that has ended stays as it is."""
        record = await self._runs.cancel(call.params["id"], call.owner)
        name_run(call, record)
        await call.reply.respond(json_response(await self._object(record)))

    async def delete(self, call: Call) -> None:
        """Forget a response, which is cancelled if it is under way."""
        run_id = call.params["id"]
        if not await self._runs.delete(run_id, call.owner):
            raise NotFound(f"there is no run {run_id!r}")
        await call.reply.respond(json_response({"id": run_id, "object": "response", "deleted": True}))

    async def list_input_items(self, call: Call) -> None:
        """Answer with a page of what a response was asked with, the last item first unless the query says otherwise."""
        query = call.request.query
        order = query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise InvalidRequest("order has to be asc or desc", param="order")
        limit = call.limit(default=_DEFAULT_ITEMS, cap=_MAX_ITEMS)
        record = await self._runs.get(call.params["id"], call.owner)
        page = item_page(record, limit=limit, descending=order == "desc", after=query.get("after"))
        await call.reply.respond(json_response(page))

    async def _reply(
        self,
        call: Call,
        asked: ResponsesRequest,
        run: FollowedRun,
        on_disconnect: Literal["cancel", "continue"],
        observed: ObservedRun,
    ) -> None:
        reply = RunReply(
            call,
            run,
            keepalive_seconds=self._settings.sse_keepalive_seconds,
            on_disconnect="continue" if asked.background else on_disconnect,
            observed=observed,
            fail=failure_response,
        )
        record = run.record
        if asked.background and run.is_new:
            try:
                record = await self._runs.registered(record.run_id, call.owner)
            except BaseException:
                run.leave(cancel_with=RunCancelled("nobody could have come back for this run"))
                raise
        if asked.stream:
            await reply.stream(ResponseStream(record), at_once=asked.background)
        elif not asked.background:
            await reply.answer_with_log(lambda events: json_response(whole_response(record, events)))
        else:
            run.leave()
            await call.reply.respond(json_response(await self._object(record)))
            if run.is_new:
                # The client has its answer; what telemetry tells of the run ends with the run.
                observed.outlasts_response = True
                await run.ending()

    async def _resume(self, call: Call, *, after: int | None) -> None:
        run = await self._runs.follow(call.params["id"], call.owner)
        name_run(call, run.record)
        # Whoever only looks on takes nothing with them when they go.
        reply = RunReply(
            call, run, keepalive_seconds=self._settings.sse_keepalive_seconds, on_disconnect="continue"
        )
        await reply.stream(ResponseStream(run.record, after=after), at_once=True)

    async def _object(self, record: RunRecord) -> dict[str, Any]:
        """Return the response of a record; what has been said so far is told once the run has ended."""
        if record.ending is None:
            return response_object(record, record.status)
        events: Sequence[RunEvent] = [record.ending]
        # Of a run that is not stored, or that said too much, no more than its end may be left.
        with suppress(NotFound, LogTruncated):
            run = await self._runs.follow(record.run_id, record.owner)
            try:
                events = await whole_log(run)
            finally:
                run.leave()
        return whole_response(record, events)

    async def _find_previous(self, run_id: str, owner: str) -> RunRecord:
        try:
            return await self._runs.get(run_id, owner)
        except NotFound as exc:
            raise InvalidRequest(
                f"there is no response {run_id!r} to go on with",
                param="previous_response_id",
                code="previous_response_not_found",
            ) from exc


def _read_flag(text: str | None, name: str) -> bool:
    if text not in (None, "true", "false"):
        raise InvalidRequest(f"{name} has to be true or false", param=name)
    return text == "true"


def _read_number(text: str | None) -> int | None:
    """Read `starting_after`, the number of an event."""
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise InvalidRequest("starting_after has to be the number of an event", param="starting_after")
    return int(text)
