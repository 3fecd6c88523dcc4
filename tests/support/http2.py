"""HTTP/2 by hand, with prior knowledge: for clients that leave one stream and keep the connection."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import h2.connection
import h2.errors
import h2.events

from tests.support.sockets import TIMEOUT, Connection, connected


class Http2Connection:
    """One connection; every stream of it is one POST."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._h2 = h2.connection.H2Connection()
        self._h2.initiate_connection()
        self.received: dict[int, bytes] = {}

    async def post(self, path: str, body: Any) -> int:
        """Send a request and return the id of its stream."""
        stream = self._h2.get_next_available_stream_id()
        names = {":method": "POST", ":path": path, ":scheme": "http", ":authority": "testserver"}
        self._h2.send_headers(stream, [*names.items(), ("content-type", "application/json")])
        self._h2.send_data(stream, json.dumps(body).encode(), end_stream=True)
        self.received[stream] = b""
        await self._flush()
        return stream

    async def reset(self, stream: int) -> None:
        """Say that nobody wants the answer any more."""
        self._h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        await self._flush()

    async def until(self, stream: int, text: bytes) -> None:
        """Read until `text` has come on the stream."""
        with anyio.fail_after(TIMEOUT):
            while text not in self.received[stream]:
                data = await self._connection.reader.read(65536)
                assert data, "the server closed the connection"
                for event in self._h2.receive_data(data):
                    if isinstance(event, h2.events.DataReceived):
                        self.received[event.stream_id] += event.data
                        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                await self._flush()

    async def _flush(self) -> None:
        await self._connection.send(self._h2.data_to_send())


@asynccontextmanager
async def http2_connected(url: str) -> AsyncIterator[Http2Connection]:
    """Connect for as long as the block lasts."""
    async with connected(url) as connection:
        yield Http2Connection(connection)
