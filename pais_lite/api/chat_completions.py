"""`POST /v1/chat/completions`: a run of the agent, answered whole or as a stream."""

from pais_lite.agent import Agent
from pais_lite.api.admission import Admission
from pais_lite.api.call import Call
from pais_lite.api.chat_chunks import ChatStream, ChunkWriter, completion_object, failure_response
from pais_lite.api.chat_request import read_chat_request
from pais_lite.api.delegated import read_origin
from pais_lite.api.observation import ObservedRun
from pais_lite.api.run_options import read_on_disconnect, read_once
from pais_lite.api.run_reply import RunReply
from pais_lite.api.run_start import check_admission, name_run, start_run
from pais_lite.http import json_response
from pais_lite.runs import NewRun, Runs
from pais_lite.settings import Settings
from pais_lite.telemetry import Telemetry

__all__ = ["ChatCompletions"]


class ChatCompletions:
    """The route, for one agent."""

    def __init__(
        self, agent: Agent, runs: Runs, settings: Settings, admission: Admission, telemetry: Telemetry
    ) -> None:
        self._agent = agent
        self._runs = runs
        self._settings = settings
        self._admission = admission
        self._telemetry = telemetry

    async def create(self, call: Call) -> None:
        """Answer a chat request. Raises `PaisError` for what fails before the answer has begun."""
        check_admission(call, self._admission)
        body = await call.request.read_json(self._settings.max_request_bytes)
        chat = read_chat_request(
            body,
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
            model=chat.model,
            request=chat.run,
        ) as observed:
            new = NewRun(request=chat.run, protocol="chat", details={"model": chat.model}, once=once)
            run = await start_run(call, self._runs, self._admission, new)
            observed.follow(run)
            record = run.record
            name_run(call, record)
            reply = RunReply(
                call,
                run,
                keepalive_seconds=self._settings.sse_keepalive_seconds,
                on_disconnect=on_disconnect,
                observed=observed,
                fail=failure_response,
            )
            if chat.run.stream:
                writer = ChunkWriter(record, model=chat.model)
                await reply.stream(ChatStream(writer, include_usage=chat.include_usage))
            else:
                await reply.answer(
                    lambda ending: json_response(completion_object(ending, record, model=chat.model))
                )
