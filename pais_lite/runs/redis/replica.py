"""`Replica`: this process among those that serve the same agent: its sign of life, its mail, and the logs it follows.

Two tasks, begun when they are needed. One says every few seconds that this replica lives, and has the server look for
those that do not. The other reads mail, and the streams of the runs that somebody follows here, in one blocking command
on a connection of its own; a stream is added by mail to oneself, which ends the wait.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from time import monotonic

import anyio

from pais_lite.errors import MemoryUnavailable
from pais_lite.memory.redis_commands import unavailable
from pais_lite.resp import Client, Command, Reply, RespError
from pais_lite.runs.redis.followers import ENTRIES_AT_ONCE, RemoteLog
from pais_lite.runs.redis.store import RunStore, text

__all__ = ["Mail", "Replica"]

_log = logging.getLogger("pais_lite.runs")

# A replica that misses two of these is still alive to the others.
_BEAT_SECONDS = 2.5
# How long the server holds a reading command that finds nothing.
_BLOCK_SECONDS = 5.0
# When the server cannot be reached for so long, whoever follows a run that is elsewhere hears it.
_PATIENCE_SECONDS = 30.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0

# What it is about, under `kind`, and whatever belongs to that.
Mail = Mapping[str, str]


class Replica:
    """One replica, as it lives.

    `on_mail` is called with each piece of mail, `on_beat` with each sign of life.
    """

    def __init__(
        self,
        store: RunStore,
        *,
        new_client: Callable[..., Client],
        on_mail: Callable[[Mail], None],
        on_beat: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._new_client = new_client
        self._on_mail = on_mail
        self._on_beat = on_beat
        self._tasks: list[asyncio.Task[None]] = []
        self._logs: dict[str, RemoteLog] = {}
        self._last_mail = "0-0"

    def begin(self) -> None:
        """Live, unless that has begun."""
        if not self._tasks:
            loop = asyncio.get_running_loop()
            # Not in the context of whoever needs it first: this is no part of its trace.
            self._tasks = [loop.create_task(work(), context=Context()) for work in (self._beat, self._read)]

    def follow(self, run_id: str, owner: str) -> RemoteLog:
        """Return the log of a run that is elsewhere, which grows as the run goes on, once `look_again` was called."""
        key = self._store.log_key(owner, run_id)
        log = self._logs.get(key)
        if log is None or log.is_over:
            log = self._logs[key] = RemoteLog(run_id, owner)
        return log

    async def look_again(self) -> None:
        """Have the streams read that were not yet when the wait began. Raises `MemoryUnavailable`."""
        self.begin()
        await self._store.mail(self._store.replica, kind="wake")

    def drop(self, log: RemoteLog) -> None:
        """Read a log no longer, if nobody follows it."""
        key = self._store.log_key(log.owner, log.run_id)
        if not log.followers and self._logs.get(key) is log:
            del self._logs[key]

    @property
    def logs(self) -> Sequence[RemoteLog]:
        """The logs that somebody follows, and that may still grow."""
        return [log for log in self._logs.values() if not log.is_over]

    async def aclose(self) -> None:
        """Stop living; whoever still follows a run hears that it cannot."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for log in self._logs.values():
            log.fail(MemoryUnavailable("the server stopped before the run had its answer"))
        self._logs.clear()

    async def _beat(self) -> None:
        is_heard = True
        while True:
            began = monotonic()
            try:
                await self._on_beat()
                is_heard = True
            except RespError as exc:
                if is_heard:
                    _log.warning("the sign of life of this replica was not heard: %r", exc)
                is_heard = False
            except Exception:  # noqa: BLE001 - without this task, the others take this replica for dead
                _log.exception("the sign of life of this replica failed")
            await anyio.sleep(max(0.1, began + _BEAT_SECONDS - monotonic()))

    async def _read(self) -> None:
        client = self._new_client(command_timeout=2 * _BLOCK_SECONDS, connections=1)
        reached, pause = monotonic(), _FIRST_PAUSE
        try:
            while True:
                try:
                    self._take(await client.execute(*self._reading(), idempotent=True))
                    reached, pause = monotonic(), _FIRST_PAUSE
                    continue
                except RespError as exc:
                    # It is nearly always waiting for the server, so it knows first.
                    self._store.note_failure()
                    if pause == _FIRST_PAUSE:
                        _log.warning("mail and logs of runs cannot be read at the moment: %r", exc)
                except Exception:  # noqa: BLE001 - one entry that cannot be read must not silence the others
                    _log.exception("mail or the log of a run could not be read")
                if monotonic() - reached > _PATIENCE_SECONDS:
                    for log in self.logs:
                        log.fail(unavailable())
                await anyio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            await client.aclose()

    def _reading(self) -> Command:
        box = self._store.mail_key(self._store.replica)
        followed = {key: log.last_id for key, log in self._logs.items() if not log.is_over}
        keys, places = [box, *followed], [self._last_mail, *followed.values()]
        block = round(_BLOCK_SECONDS * 1000)
        return ("XREAD", "COUNT", ENTRIES_AT_ONCE, "BLOCK", block, "STREAMS", *keys, *places)

    def _take(self, reply: Reply) -> None:
        # A map in RESP3, pairs in RESP2, nothing when the time was up.
        found = reply.items() if isinstance(reply, dict) else reply or ()
        box = self._store.mail_key(self._store.replica)
        for key, entries in found:
            if text(key) != box:
                # Nobody may follow it any more who did when this was asked for.
                if (log := self._logs.get(text(key))) is not None:
                    log.take(entries)
                continue
            for name, fields in entries:
                self._last_mail = text(name)
                words = [text(part) for part in fields]
                self._on_mail(dict(zip(words[::2], words[1::2], strict=True)))
