"""`POST /v1/chat/completions`: a run of the agent, answered whole or as a stream."""

import asyncio

import anyio

from pais_lite.agent import Agent, Run
from pais_lite.api.admission import Admission
from pais_lite.api.call import Call
from pais_lite.api.chat_chunks import ChunkWriter, completion_object, new_completion_id
from pais_lite.api.chat_request import ChatRequest, read_chat_request
from pais_lite.api.delegated import read_origin
from pais_lite.api.observation import ObservedRun
from pais_lite.encoding import dump_json
from pais_lite.errors import RunCancelled
from pais_lite.events import Failed, Finished, Progress, RunEvent, TextDelta, ThinkingDelta
from pais_lite.http import ClientDisconnected, error_body, error_response, json_response, sse
from pais_lite.settings import Settings
from pais_lite.telemetry import Telemetry

__all__ = ["ChatCompletions"]


class ChatCompletions:
    """The route, for one agent."""

    def __init__(self, agent: Agent, settings: Settings, admission: Admission, telemetry: Telemetry) -> None:
        self._agent = agent
        self._settings = settings
        self._admission = admission
        self._telemetry = telemetry

    async def create(self, call: Call) -> None:
        """Answer a chat request. Raises `PaisError` for what fails before the answer has begun."""
        self._admission.check(call.owner)
        body = await call.request.read_json(self._settings.max_request_bytes)
        chat = read_chat_request(
            body,
            session_header=call.request.header("x-session-id"),
            owner=call.owner,
            default_model=self._agent.name,
            origin=read_origin(call.request, self._agent),
        )
        self._admission.enter(call.owner)
        with ObservedRun(
            self._telemetry,
            call,
            route=call.route,
            agent=self._agent.name,
            model=chat.model,
            request=chat.run,
        ) as observed:
            await self._serve(call, chat, observed)

    async def _serve(self, call: Call, chat: ChatRequest, observed: ObservedRun) -> None:
        run = self._agent.start(chat.run)
        observed.follow(run)
        run.add_done_callback(lambda: self._admission.leave(call.owner))
        call.reply.headers["x-session-id"] = chat.run.session_id
        # A bare task: it costs a request a quarter of what a task group does.
        watcher = asyncio.create_task(self._watch(call, run))
        try:
            if chat.run.stream:
                await self._stream(call, chat, run, observed)
            else:
                await self._answer(call, chat, run)
        except (asyncio.CancelledError, ClientDisconnected):
            # Some hosts cancel the request instead of sending a disconnect; others raise when we send.
            self._abandon(run)
            raise
        finally:
            watcher.cancel()

    async def _watch(self, call: Call, run: Run) -> None:
        await call.request.disconnected()
        self._abandon(run)

    def _abandon(self, run: Run) -> None:
        """Leave a run that nobody listens to any more. One that goes on has its request wait for it, in silence."""
        run.feed.discard()
        if self._settings.on_disconnect == "cancel":
            run.cancel(RunCancelled("the client left before the run had its answer"))

    async def _answer(self, call: Call, chat: ChatRequest, run: Run) -> None:
        ending = await run.ending()
        if call.request.has_disconnected:
            return
        if isinstance(ending, Failed):
            await call.reply.respond(error_response(ending.error, run_begun=True))
            return
        answer = completion_object(ending, completion_id=new_completion_id(), model=chat.model)
        await call.reply.respond(json_response(answer))

    async def _stream(self, call: Call, chat: ChatRequest, run: Run, observed: ObservedRun) -> None:
        reply, writer = call.reply, ChunkWriter(completion_id=new_completion_id(), model=chat.model)
        while True:
            events: list[RunEvent] = []
            with anyio.move_on_after(self._settings.sse_keepalive_seconds):
                events = await run.next_events()
            if call.request.has_disconnected:
                await run.ending()
                return
            observed.saw(events)
            if not reply.started:
                # Nothing has been said yet, so a run that failed can still be an honest status.
                if events and isinstance(events[0], Failed):
                    await reply.respond(error_response(events[0].error, run_begun=True))
                    return
                reply.headers.update(sse.HEADERS)
                await reply.start(200)
                head = writer.role()
            else:
                head = b""
            if not events:
                await reply.write(head + sse.KEEPALIVE)
                continue
            data = head + b"".join([_encode(event, writer, chat) for event in events])
            if isinstance(events[-1], Finished | Failed):
                await reply.end(data + sse.DONE)
                return
            await reply.write(data)


def _encode(event: RunEvent, writer: ChunkWriter, chat: ChatRequest) -> bytes:
    match event:
        case TextDelta():
            return writer.text(event)
        case ThinkingDelta():
            return writer.thinking(event)
        case Progress():
            return writer.progress(event)
        case Finished(usage=usage):
            return writer.finish(event) + (writer.usage(usage) if chat.include_usage else b"")
        case Failed(error=error):
            return sse.data_event(dump_json(error_body(error)))
