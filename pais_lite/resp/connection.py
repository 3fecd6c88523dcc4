"""One connection that many tasks share.

Strategy: there is no task of the connection's own, since a client that is opened inside a request must not hang on to
that request's cancel scope, and anyio has no detached tasks. The callers take turns instead:

- Who wants to write first in a turn of the loop lets the others go before it, when there are others, and then writes
  what all of them have queued.
- Who waits for a reply and finds nobody reading reads for all, in order, until its own reply has come. Then, or when it
  is cancelled, it wakes the one that has waited longest, who reads on.
- Who finds bytes that the kernel did not take yet, and nobody waiting to send them, does that.

Nothing is lost with a cancelled task, for waiting is all that it does: bytes are in the transport, the kernel or the
decoder. Its slot stays in the queue and swallows its replies when they come.

The timeout is for the server alone. What many callers ask at once may take us longer to write and to read than the server
may take to answer, and a loop that others keep busy hears late what has long come. So the clock runs while a reply is owed
and nothing moves, and nobody is judged before all that has come is read.
"""

from collections import deque
from time import monotonic

import anyio
from anyio.lowlevel import checkpoint

from pais_lite.resp.alarm import Alarm
from pais_lite.resp.errors import (
    ClientClosed,
    CommandTimedOut,
    ConnectionFailed,
    OutcomeUnknown,
    ProtocolError,
    RespError,
)
from pais_lite.resp.protocol import NEED_DATA, Decoder, Limits
from pais_lite.resp.transport import RECEIVE_BYTES, Transport
from pais_lite.resp.values import Push, Reply

__all__ = ["Connection"]

# What is already there is read without asking the loop again, but other tasks get their turn in between.
_RECEIVES_PER_TURN = 8


class _Slot:
    """One caller's place in the queue: what it sends, how many replies it is owed, and those that have come."""

    __slots__ = ("count", "data", "done", "error", "event", "replies", "sent_at", "written")

    def __init__(self, data: bytes, count: int) -> None:
        self.data = data
        self.count = count
        self.replies: list[Reply] = []
        self.sent_at = 0.0
        self.written = False
        self.done = False
        self.error: RespError | None = None
        # Set while the caller sleeps: its replies have come, or it is wanted as reader or writer.
        self.event: anyio.Event | None = None


class Connection:
    """Sends commands over a transport and matches replies to them.

    `timeout` is how many seconds the server may be silent while it owes a reply, or take nothing of what is to be sent. A
    server that is late with any reply is late with all that come after, so the connection is given up with the first.
    Commands that block in the server for longer (BLPOP) or change what replies there are (SUBSCRIBE, MONITOR, CLIENT
    REPLY) have no place here.
    """

    def __init__(self, transport: Transport, timeout: float, limits: Limits | None = None) -> None:
        self._timeout = timeout
        # When the peer last said something, or took something that it had not taken at once.
        self.last_used = monotonic()
        self._transport = transport
        self._decoder = Decoder(limits)
        self._slots: deque[_Slot] = deque()
        self._queued: list[_Slot] = []
        self._failure: RespError | None = None
        self._retired = False
        self._flushing = False
        # The wait of the one who reads, so that it can be called away.
        self._reading: anyio.CancelScope | None = None
        self._draining = False
        self._crowded = False
        self._alarm = Alarm(self._overdue_in)

    @property
    def timeout(self) -> float:
        """How many seconds the server may be silent while it owes a reply."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self._timeout = seconds
        self._alarm.reset()

    @property
    def waiting(self) -> int:
        """How many callers' replies are still to come, abandoned ones included."""
        return len(self._slots)

    @property
    def failure(self) -> RespError | None:
        """Why the connection is of no further use, if it is."""
        return self._failure

    def looks_alive(self) -> bool:
        """Ask the kernel, not the server, whether the peer has hung up; costs one system call."""
        if self._failure is None and not self._slots:
            self._receive()
        return self._failure is None

    def retire(self) -> None:
        """Close once every reply that is still to come has come; nothing new should be sent."""
        self._retired = True
        if not self._slots:
            self._fail(ClientClosed("the connection was retired"))

    def close(self) -> None:
        """Close at once; callers that wait get `ClientClosed`."""
        self._fail(ClientClosed("the Redis client was closed"))

    async def request(self, data: bytes, count: int) -> list[Reply]:
        """Send encoded commands and return their `count` replies, server errors among them as values.

        Raises `ConnectionFailed` if they were not sent, `OutcomeUnknown` or its `CommandTimedOut` or `ProtocolError`
        if they were and may have run, `ClientClosed` after `close`.
        """
        if self._failure is not None:
            raise self._error_for(None) from self._failure
        slot = _Slot(data, count)
        self._slots.append(slot)
        self._queued.append(slot)
        flusher = not self._flushing
        try:
            if flusher:
                if self._crowded or len(self._slots) > 1:
                    self._flushing = True
                    await checkpoint()
                self._flush()
                flusher = False
            while not slot.done:
                if not self._draining and self._transport.unsent:
                    await self._drain()
                elif self._reading is None:
                    await self._read_until_done(slot)
                else:
                    slot.event = anyio.Event()
                    await slot.event.wait()
        finally:
            slot.event = None
            if not slot.written and not slot.done:
                # Cancelled before its turn to write: it has never been.
                self._queued.remove(slot)
                self._slots.remove(slot)
            if flusher:
                self._flush()
            if self._slots:
                self._pass_on()
        if slot.error is not None:
            raise slot.error from self._failure
        return slot.replies

    def _flush(self) -> None:
        """Hand what is queued to the transport in one piece."""
        self._flushing = False
        batch = self._queued
        if not batch:
            return
        self._queued = []
        self._crowded = len(batch) > 1
        data = b"".join([slot.data for slot in batch]) if self._crowded else batch[0].data
        now = monotonic()
        for slot in batch:
            slot.written = True
            slot.sent_at = now
            slot.data = b""
        try:
            self._transport.write(data)
        except OSError as exc:
            self._lose(exc)

    async def _drain(self) -> None:
        """Wait until the kernel has taken what it did not take at once."""
        self._draining = True
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + self._overdue_in()) as scope:
                while unsent := self._transport.unsent:
                    await self._transport.wait_writable()
                    self._transport.flush()
                    if self._transport.unsent < unsent:
                        self.last_used = monotonic()
                        scope.deadline = anyio.current_time() + self._timeout
            if scope.cancelled_caught:
                self._judge()
        except anyio.ClosedResourceError:
            # Somebody else found out first, and told every slot.
            self._lose(None)
        except OSError as exc:
            self._lose(exc)
        finally:
            self._draining = False

    async def _read_until_done(self, slot: _Slot) -> None:
        """Read for all until this slot has its replies."""
        transport = self._transport
        self._reading = scope = self._alarm.watch()
        try:
            with scope:
                while True:
                    await transport.wait_readable()
                    self._receive()
                    if slot.done:
                        return
                    self._alarm.postpone()
            self._judge()
        except anyio.ClosedResourceError:
            self._lose(None)
        finally:
            self._reading = None
            self._alarm.rest()

    def _overdue_in(self) -> float:
        """Return in how many seconds the oldest reply is overdue, if nothing moves until then."""
        if not self._slots or not self._slots[0].written:
            return self._timeout
        return max(self._slots[0].sent_at, self.last_used) + self._timeout - monotonic()

    def _judge(self) -> None:
        """Give the connection up if the server is late indeed: something may have come while the loop was busy."""
        self._receive()
        if self._failure is None and self._slots and self._overdue_in() <= 0:
            self._fail(CommandTimedOut("the Redis server did not answer in time"))

    def _receive(self) -> None:
        """Take what has come without waiting, and hand replies to their slots."""
        for _ in range(_RECEIVES_PER_TURN):
            if self._failure is not None:
                return
            try:
                data = self._transport.receive()
            except OSError as exc:
                self._lose(exc)
                return
            if data is None:
                return
            if not data:
                self._lose(None)
                return
            self._deliver(data)
            if len(data) < RECEIVE_BYTES:
                return

    def _deliver(self, data: bytes) -> None:
        decoder = self._decoder
        slots = self._slots
        decoder.feed(data)
        try:
            while (reply := decoder.next_reply()) is not NEED_DATA:
                if isinstance(reply, Push):
                    # Said without having been asked, and we have asked for nothing of the kind.
                    continue
                if not slots:
                    raise ProtocolError("the server sent a reply that nobody waits for")
                slot = slots[0]
                slot.replies.append(reply)
                if len(slot.replies) == slot.count:
                    slots.popleft()
                    slot.done = True
                    if slot.event is not None:
                        slot.event.set()
        except ProtocolError as exc:
            self._fail(exc)
            return
        self.last_used = monotonic()
        if self._retired and not slots:
            self._fail(ClientClosed("the connection was retired"))

    def _pass_on(self) -> None:
        """Wake the one that has waited longest, if something is to do that nobody does."""
        unsent = self._transport.unsent and not self._draining
        if self._reading is not None and not unsent:
            return
        for slot in self._slots:
            if slot.event is not None:
                slot.event.set()
                return
        if self._reading is not None:
            # The only one left is reading what will never come unless it writes first.
            self._reading.cancel()

    def _lose(self, cause: OSError | None) -> None:
        failure = OutcomeUnknown("the connection to the Redis server was lost")
        failure.__cause__ = cause
        self._fail(failure)

    def _fail(self, failure: RespError) -> None:
        """Close, and tell every slot what that means for it; only the first failure counts."""
        if self._failure is not None:
            return
        self._failure = failure
        self._alarm.reset()
        self._transport.close()
        for slot in self._slots:
            slot.done = True
            slot.error = self._error_for(slot)
            if slot.event is not None:
                slot.event.set()
        self._slots.clear()
        self._queued.clear()

    def _error_for(self, slot: _Slot | None) -> RespError:
        """Make the error of one caller: tracebacks grow on an instance that several raise."""
        failure = self._failure
        if isinstance(failure, ClientClosed) and slot is not None:
            return ClientClosed(failure.message)
        if slot is None or not slot.written:
            return ConnectionFailed("the connection to the Redis server was lost before the command left")
        if isinstance(failure, ProtocolError):
            return ProtocolError(failure.message)
        if isinstance(failure, CommandTimedOut) and monotonic() - slot.sent_at >= self._timeout * 0.99:
            return CommandTimedOut(failure.message)
        return OutcomeUnknown("the connection to the Redis server was lost before the reply came")
