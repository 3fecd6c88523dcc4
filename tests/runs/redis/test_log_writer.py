"""What is written of a log, when, and under which ids."""

import anyio
import pytest

from pais_lite.agent.event_log import EventLog
from pais_lite.events import Finished, RunEvent, TextDelta
from pais_lite.resp import Argument, ConnectionFailed
from pais_lite.runs.codec import decode_events
from pais_lite.runs.redis import log_writer
from pais_lite.runs.redis.log_writer import LogWriter
from tests.support.sockets import until

pytestmark = pytest.mark.anyio

END = Finished(output="done")


class Stream:
    """Takes entries as the server does, which refuses those whose id is not greater than the last."""

    def __init__(self) -> None:
        self.entries: dict[str, list[RunEvent]] = {}
        self.oldest = ""
        self.sent = 0
        self.fails = False
        self.wanted = True

    async def send(self, arguments: list[Argument]) -> bool:
        """Add entries; fails after that where it is told to, as a connection does that is lost before the reply."""
        self.sent += 1
        self.add(arguments)
        if self.fails:
            raise ConnectionFailed("lost")
        return self.wanted

    def add(self, arguments: list[Argument]) -> None:
        """Add entries."""
        oldest, count, *rest = arguments
        assert count == len(rest) // 2
        self.oldest = str(oldest) or self.oldest
        for name, data in zip(rest[::2], rest[1::2], strict=True):
            assert isinstance(data, bytes)
            if not self.entries or int(str(name)[:-2]) > int(list(self.entries)[-1][:-2]):
                self.entries[str(name)] = decode_events(data)

    def events(self) -> list[RunEvent]:
        """Return what a reader makes of it."""
        found: list[RunEvent] = []
        for name, events in self.entries.items():
            first = int(name[:-2]) - len(events)
            assert first <= len(found)
            found += events[len(found) - first :]
        return found


@pytest.fixture
def log() -> EventLog:
    return EventLog()


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writer, "WRITE_SECONDS", 0.02)


def says(log: EventLog, first: int, last: int) -> list[TextDelta]:
    told = [TextDelta(str(number)) for number in range(first, last)]
    for event in told:
        log.append(event)
    return told


async def test_a_short_run_is_written_once_with_its_end(log: EventLog, stream: Stream) -> None:
    begun: list[bool] = []
    writer = LogWriter(log, stream.send, on_begin=lambda: begun.append(True))
    told = says(log, 0, 3)
    stream.add(writer.rest(END))
    await anyio.sleep(0.05)
    assert (stream.sent, begun) == (0, [])
    assert stream.entries == {"4-1": [*told, END]}


async def test_a_long_run_is_written_in_batches(log: EventLog, stream: Stream) -> None:
    writer = LogWriter(log, stream.send, on_begin=lambda: None)
    told = says(log, 0, 3)
    await until(lambda: stream.entries)
    told += says(log, 3, 5)
    await until(lambda: len(stream.entries) == 2)
    told += says(log, 5, 6)
    stream.add(writer.rest(END))
    assert list(stream.entries) == ["3-1", "5-1", "7-1"]
    assert stream.events() == [*told, END]


async def test_what_was_written_without_word_of_it_is_sent_again(log: EventLog, stream: Stream) -> None:
    writer = LogWriter(log, stream.send, on_begin=lambda: None)
    stream.fails = True
    told = says(log, 0, 3)
    await until(lambda: stream.sent >= 2)
    told += says(log, 3, 5)
    rest = writer.rest(END)
    assert list(stream.entries) == ["3-1"]
    stream.add(rest)
    assert stream.events() == [*told, END]
    # An end that could not be stored is asked for again, maybe with another ending.
    other = Finished(output="other")
    again = Stream()
    again.add(writer.rest(other))
    assert again.events() == [*told, other]


async def test_a_run_that_nobody_wants_any_more_is_not_written(log: EventLog, stream: Stream) -> None:
    writer = LogWriter(log, stream.send, on_begin=lambda: None)
    stream.wanted = False
    says(log, 0, 3)
    await until(lambda: stream.sent)
    says(log, 3, 6)
    await anyio.sleep(0.1)
    assert stream.sent == 1
    writer.stop()


async def test_the_oldest_entries_are_given_up_where_a_run_says_too_much(
    log: EventLog, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_writer, "MAX_LOG_WEIGHT", 1000)
    writer = LogWriter(log, stream.send, on_begin=lambda: None)
    for number in range(5):
        log.append(TextDelta("x" * 400))
        await until(lambda: len(stream.entries) > number)  # noqa: B023 - asked at once
    stream.add(writer.rest(END))
    assert list(stream.entries) == [f"{number}-1" for number in range(1, 7)]
    assert stream.oldest == "4-1"
