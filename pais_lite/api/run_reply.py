"""A run on its way to one client, in whichever protocol: as a stream of frames, or as one answer."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Literal, Protocol

import anyio

from pais_lite.api.call import Call
from pais_lite.api.connected import abandon, while_connected
from pais_lite.api.observation import ObservedRun
from pais_lite.errors import LogTruncated
from pais_lite.events import Failed, Finished, RunEvent
from pais_lite.http import Response, error_response, sse
from pais_lite.runs import FollowedRun

__all__ = ["FrameWriter", "RunReply", "whole_log"]


class FrameWriter(Protocol):
    """Turns what a run says into the frames of one protocol.

    The frames depend on the run's record and its events alone, so that every reader of a run gets the same ones.
    """

    def head(self) -> bytes:
        """Return what goes before the first event."""
        ...

    def frames(self, event: RunEvent) -> bytes:
        """Return the frames of one event; those of a `Finished` or a `Failed` end the stream."""
        ...


class RunReply:
    """Follows a run for one client, and leaves it when the client does.

    `fail` makes the answer of a run that failed before anything was told; by default that is its error alone.
    """

    def __init__(
        self,
        call: Call,
        run: FollowedRun,
        *,
        keepalive_seconds: float,
        on_disconnect: Literal["cancel", "continue"],
        observed: ObservedRun | None = None,
        fail: Callable[[Failed], Response] | None = None,
    ) -> None:
        self._call = call
        self._run = run
        self._keepalive_seconds = keepalive_seconds
        self._on_disconnect = on_disconnect
        self._observed = observed
        self._fail = fail or (lambda failed: error_response(failed.error, run_begun=True))

    async def stream(self, writer: FrameWriter, *, at_once: bool = False) -> None:
        """Send what the run says, as it says it.

        The status waits for the run's first event, so that one which fails at once is an honest status; when that
        takes long, keepalives go out first. With `at_once`, the stream begins before the run has said anything, and a
        failure is told in it, whenever it comes.
        """
        await self._while_connected(self._stream(writer, at_once=at_once))

    async def answer(self, respond: Callable[[Finished], Response]) -> None:
        """Send one answer when the run has ended: `respond` makes that of a run that has not failed."""

        def answer(events: Sequence[RunEvent]) -> Response:
            ending = events[-1]
            assert isinstance(ending, Finished)
            return respond(ending)

        await self.answer_with_log(answer)

    async def answer_with_log(self, respond: Callable[[Sequence[RunEvent]], Response]) -> None:
        """Send one answer when the run has ended: `respond` makes that of all that a run said which has not failed."""
        await self._while_connected(self._answer(respond))

    async def _while_connected(self, work: Coroutine[None, None, None]) -> None:
        # A run that goes on, and that this request began, has the request wait for it in silence.
        try:
            await while_connected(self._call.request, work, lambda: abandon(self._run, self._on_disconnect))
        finally:
            self._run.leave()

    async def _is_abandoned(self) -> bool:
        if not self._call.request.has_disconnected:
            return False
        if self._run.is_new and self._observed is not None:
            await self._run.ending()
        return True

    async def _answer(self, respond: Callable[[Sequence[RunEvent]], Response]) -> None:
        # Read also where the end alone is wanted: a run waits for those who follow it and are far behind.
        events = await whole_log(self._run)
        if await self._is_abandoned():
            return
        ending = events[-1]
        response = self._fail(ending) if isinstance(ending, Failed) else respond(events)
        await self._call.reply.respond(response)

    async def _stream(self, writer: FrameWriter, *, at_once: bool) -> None:
        reply, data = self._call.reply, b""
        if at_once and self._run.maybe_ending is None:
            # Of a run that has ended, it is not known yet whether its log is still there.
            data = await self._start(writer)
            if data:
                await reply.write(data)
                data = b""
        while True:
            events: list[RunEvent] = []
            with anyio.move_on_after(self._keepalive_seconds):
                events = [*await self._run.next_events()]
            if await self._is_abandoned():
                return
            if self._observed is not None:
                self._observed.saw(events)
            if not reply.started:
                # Nothing has been said yet, so a run that failed can still be an honest status.
                if events and isinstance(events[0], Failed) and not at_once:
                    await reply.respond(self._fail(events[0]))
                    return
                data = await self._start(writer)
            if not events:
                await reply.write(data + sse.KEEPALIVE)
            else:
                data += b"".join([writer.frames(event) for event in events])
                if isinstance(events[-1], Finished | Failed):
                    await reply.end(data)
                    return
                await reply.write(data)
            data = b""

    async def _start(self, writer: FrameWriter) -> bytes:
        """Begin the stream, and return its first frames."""
        self._call.reply.headers.update(sse.HEADERS)
        await self._call.reply.start(200)
        return writer.head()


async def whole_log(run: FollowedRun) -> list[RunEvent]:
    """Wait for the end of a run and return all that it said; of one that said too much to be kept, its last event."""
    events: list[RunEvent] = []
    try:
        while more := await run.next_events():
            events += more
    except LogTruncated:
        return [await run.ending()]
    return events or [await run.ending()]
