"""The client against real servers: what is sent again, what is not, and where to."""

import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.abc import ByteStream
from anyio.streams.tls import TLSListener

from pais_lite.resp import (
    AuthenticationFailed,
    Client,
    ClientClosed,
    CommandTimedOut,
    ConnectionFailed,
    InvalidUrl,
    OutcomeUnknown,
    ServerError,
    TransactionAborted,
)
from tests.resp.conftest import Server, free_port

pytestmark = pytest.mark.anyio
