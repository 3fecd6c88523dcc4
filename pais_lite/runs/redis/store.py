"""`RunStore`: the keys of one agent's runs, the scripts that work on them, and records as the hashes that hold them."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, TypeVar, cast

import anyio

from pais_lite.encoding import dump_json, load_json
from pais_lite.errors import RunLost
from pais_lite.events import Failed, Finished
from pais_lite.memory.redis_commands import microseconds, translated, unavailable
from pais_lite.resp import Argument, Client, Command, Reply, RespError, ServerError, to_dict
from pais_lite.runs.base import NewRun, RunRecord, RunStatus
from pais_lite.runs.codec import decode_event, encode_event
from pais_lite.runs.redis.scripts import EXPIRY_SECONDS, Script

__all__ = ["RunStore", "command_arguments", "list_arguments", "text"]

_T = TypeVar("_T")
_log = logging.getLogger("pais_lite.runs")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 1.0
_LOST = encode_event(Failed(error=RunLost("the replica that worked on this run is gone")))


class RunStore:
    """What is known of one agent's runs, and what this replica does to it.

    What has ended is kept for `ttl_seconds`; what is under way expires `longest_run_seconds` later than that, so that
    nobody has to refresh it.
    """

    def __init__(
        self, agent: str, *, new_client: Callable[[], Client], ttl_seconds: float, longest_run_seconds: float
    ) -> None:
        self.agent = agent
        self.replica = secrets.token_hex(8)
        self.prefix = f"pais:{{{agent}}}:"
        self.ttl_seconds = max(1, round(ttl_seconds))
        self.horizon_seconds = round(self.ttl_seconds + longest_run_seconds) + 1
        self._new_client = new_client
        self._client: Client | None = None
        self._last_failure = -float(EXPIRY_SECONDS)

    # ------------------------------------------------------------------------------------------------------------ keys

    def run_key(self, owner: str, run_id: str) -> str:
        """Return the hash of a run."""
        return f"{self.prefix}run:{owner}:{run_id}"

    def log_key(self, owner: str, run_id: str) -> str:
        """Return the stream of what a run said."""
        return f"{self.prefix}log:{owner}:{run_id}"

    def index_key(self, owner: str, protocol: str) -> str:
        """Return the sorted set of an owner's runs that began in a protocol."""
        return f"{self.prefix}runs:{owner}:{protocol}"

    def turns_key(self, owner: str, session_id: str) -> str:
        """Return the list of those who want to work on a session."""
        return f"{self.prefix}turns:{owner}:{session_id}"

    def once_key(self, owner: str, key: str) -> str:
        """Return what says which run an `Idempotency-Key` belongs to."""
        return f"{self.prefix}once:{owner}:{key}"

    def mail_key(self, replica: str) -> str:
        """Return the stream of what others want of a replica."""
        return f"{self.prefix}mail:{replica}"

    # --------------------------------------------------------------------------------------------------------- commands

    @property
    def client(self) -> Client:
        """The client that all commands share which do not block."""
        if self._client is None:
            self._client = self._new_client()
        return self._client

    @property
    def trusts_silence(self) -> bool:
        """Whether a replica that gives no sign of life is dead, as far as this one can tell.

        Not shortly after the server could not be reached: perhaps nobody reached it, and the others are back a moment
        later.
        """
        return monotonic() - self._last_failure > EXPIRY_SECONDS

    async def run_script(
        self, script: Script, keys: Sequence[str], *arguments: Argument, idempotent: bool = True
    ) -> Reply:
        """Run a script in one round trip, or in two where the server has not seen it yet. Raises `RespError`."""
        trusting = int(self.trusts_silence)
        common = (self.prefix, self.replica, trusting, _LOST, self.ttl_seconds, self.horizon_seconds)
        rest = (len(keys), *keys, *common, *arguments)
        try:
            try:
                return await self.client.execute("EVALSHA", script.digest, *rest, idempotent=idempotent)
            except ServerError as exc:
                if exc.word != "NOSCRIPT":
                    raise
                return await self.client.execute("EVAL", script.text, *rest, idempotent=idempotent)
        except RespError as exc:
            # A server that refuses everybody, such as during a failover, is as good as away.
            if not isinstance(exc, ServerError) or exc.is_refusal:
                self.note_failure()
            raise

    def note_failure(self) -> None:
        """Remember that the server could not be reached just now."""
        self._last_failure = monotonic()

    async def pipeline(self, commands: Sequence[Command]) -> list[Reply]:
        """Run commands that may run twice, in one round trip. Raises `MemoryUnavailable`."""
        async with translated():
            return await self.client.pipeline(commands, idempotent=True)

    async def mail(self, replica: str, **fields: Argument) -> None:
        """Tell a replica something; one that is gone never reads it. Raises `MemoryUnavailable`."""
        box = self.mail_key(replica)
        pairs = [part for pair in fields.items() for part in pair]
        await self.pipeline([("XADD", box, "MAXLEN", "~", 1000, "*", *pairs), ("EXPIRE", box, 60)])

    async def until_it_works(self, attempt: Callable[[], Awaitable[_T]], *, seconds: float, what: str) -> _T:
        """Do what may be done twice, again and again for `seconds`. Raises `MemoryUnavailable`."""
        deadline = anyio.current_time() + seconds
        pause = _FIRST_PAUSE
        while True:
            try:
                return await attempt()
            except RespError as exc:
                if anyio.current_time() + pause > deadline:
                    _log.error("%s could not be stored: %r", what, exc)
                    raise unavailable() from exc
            await anyio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def aclose(self) -> None:
        """Close the client; the next command opens another."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # ---------------------------------------------------------------------------------------------------------- records

    def fields(self, new: NewRun, details: Mapping[str, Any]) -> list[Argument]:
        """Return the fields of a new run's hash, and their values; its status and the time are for the scripts."""
        request, moment = new.request, microseconds(new.created_at)
        found: list[Argument] = ["replica", self.replica, "session", request.session_id]
        found += ["protocol", new.protocol, "created_at", moment, "updated_at", moment]
        if new.once is not None:
            found += ["once", self.once_key(request.owner, new.once.key)]
        return [*found, *self.detail_fields(details)]

    def detail_fields(self, details: Mapping[str, Any]) -> list[Argument]:
        """Return details as fields and values: one field each, so that they can be changed one by one."""
        return [part for name, value in details.items() for part in (f"d:{name}", dump_json(value))]

    def maybe_record(self, run_id: str, owner: str, reply: Reply) -> RunRecord | None:
        """Read what is in a run's hash; nothing is in that of a run that is not there."""
        found = {text(name): value for name, value in to_dict(reply).items()}
        if "status" not in found:
            return None
        ending = decode_event(found["ending"]) if "ending" in found else None
        assert ending is None or isinstance(ending, Finished | Failed)
        return RunRecord(
            run_id=run_id,
            owner=owner,
            agent=self.agent,
            session_id=text(found["session"]),
            protocol=text(found["protocol"]),
            status=cast("RunStatus", text(found["status"])),
            created_at=_moment(found["created_at"]),
            updated_at=_moment(found["updated_at"]),
            details={name[2:]: load_json(value) for name, value in found.items() if name.startswith("d:")},
            ending=ending,
        )


def list_arguments(values: Sequence[Argument]) -> list[Argument]:
    """Return values as a script takes a list: their number, and then they themselves."""
    return [len(values), *values]


def command_arguments(commands: Iterable[Command]) -> list[Argument]:
    """Return commands as a script takes them, to be run there."""
    found = [list_arguments(command) for command in commands]
    return [len(found), *(part for command in found for part in command)]


def text(reply: Reply) -> str:
    """Return a reply as text."""
    return reply.decode() if isinstance(reply, bytes) else str(reply)


def _moment(reply: Reply) -> datetime:
    return _EPOCH + timedelta(microseconds=int(reply))
