"""A socket, plain or under TLS, that never waits unless told to.

Strategy: `write` and `receive` do what the kernel can do at once and return; waiting is apart, in `wait_readable` and
`wait_writable`. So no byte is ever in the hands of a task that may be cancelled: what the kernel did not take stays in
the transport, and what it has not been asked for stays in the kernel. A round trip also costs fewer turns of the loop
than through a stream. TLS runs over memory buffers on the same socket.
"""

import os
import socket
import ssl
from typing import Protocol

import anyio

from pais_lite.resp.errors import ConnectionFailed, InvalidUrl
from pais_lite.resp.url import Address, TlsOptions

__all__ = [
    "RECEIVE_BYTES",
    "SocketTransport",
    "TlsTransport",
    "Transport",
    "make_tls_context",
    "open_transport",
]

# glibc maps and unmaps the memory of larger blocks every time, which costs several times what the copy does.
RECEIVE_BYTES = 120 * 1024
# Under TLS, decrypt no more than this before the replies in it are read.
_DECRYPT_BYTES = 1024 * 1024


class Transport(Protocol):
    """What a connection needs of its peer."""

    @property
    def unsent(self) -> int:
        """How many bytes were written and not yet taken by the kernel."""

    def write(self, data: bytes) -> None:
        """Send what can be sent at once and keep the rest; raises `OSError`."""

    def flush(self) -> None:
        """Try again to send what was kept; raises `OSError`."""

    def receive(self) -> bytes | None:
        """Return what has come, `None` if nothing has, `b""` if nothing will; raises `OSError`.

        Less than `RECEIVE_BYTES` means that there is no more for now.
        """

    async def wait_readable(self) -> None:
        """Wait until `receive` may have something; raises `anyio.ClosedResourceError` when closed meanwhile."""

    async def wait_writable(self) -> None:
        """Wait until `flush` may get further; raises `anyio.ClosedResourceError` when closed meanwhile."""

    def close(self) -> None:
        """Close at once and wake whoever waits; doing it again does nothing."""


class SocketTransport:
    """A connected stream socket that does not block."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._kept = bytearray()

    @property
    def unsent(self) -> int:
        """How many bytes were written and not yet taken by the kernel."""
        return len(self._kept)

    def write(self, data: bytes) -> None:
        """Send what can be sent at once and keep the rest; raises `OSError`."""
        if self._kept:
            self._kept += data
            return
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._kept += memoryview(data)[sent:]

    def flush(self) -> None:
        """Try again to send what was kept; raises `OSError`."""
        while self._kept:
            try:
                sent = self._socket.send(self._kept)
            except BlockingIOError:
                return
            del self._kept[:sent]

    def receive(self) -> bytes | None:
        """Return what has come, `None` if nothing has, `b""` if nothing will; raises `OSError`."""
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None

    async def wait_readable(self) -> None:
        """Wait until `receive` may have something; raises `anyio.ClosedResourceError` when closed meanwhile."""
        await anyio.wait_readable(self._socket)

    async def wait_writable(self) -> None:
        """Wait until `flush` may get further; raises `anyio.ClosedResourceError` when closed meanwhile."""
        await anyio.wait_writable(self._socket)

    def close(self) -> None:
        """Close at once and wake whoever waits; doing it again does nothing."""
        if self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
            self._socket.close()


class TlsTransport(SocketTransport):
    """The client's side of TLS on such a socket; `handshake` comes first."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, hostname: str) -> None:
        super().__init__(sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=hostname)

    async def handshake(self) -> None:
        """Agree on keys and verify the server; raises `ssl.SSLError` and `OSError`."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._send_records()
                await self._drain()
                await self.wait_readable()
                self._pull()
            else:
                self._send_records()
                await self._drain()
                return

    def write(self, data: bytes) -> None:
        """Encrypt and send; what the kernel does not take is kept; raises `OSError`."""
        self._tls.write(data)
        self._send_records()

    def receive(self) -> bytes | None:
        """Return what has come, decrypted, `None` if nothing has, `b""` if nothing will; raises `OSError`."""
        chunks: list[bytes] = []
        total = 0
        ended = False
        while not ended:
            try:
                chunk = self._tls.read(RECEIVE_BYTES)
            except ssl.SSLWantReadError:
                # Nothing decrypted may stay behind: the kernel would not know of it when asked to wait.
                if total >= _DECRYPT_BYTES or not self._pull():
                    break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                ended = True
            else:
                chunks.append(chunk)
                total += len(chunk)
                ended = not chunk
        # Answers of TLS itself, to a change of keys for instance.
        self._send_records()
        if chunks or ended:
            return b"".join(chunks)
        return None

    def _pull(self) -> bool:
        """Move what has come into the TLS object; return whether anything has, its end included."""
        records = super().receive()
        if records is None:
            return False
        if records:
            self._incoming.write(records)
        else:
            self._incoming.write_eof()
        return True

    def _send_records(self) -> None:
        if self._outgoing.pending:
            super().write(self._outgoing.read())

    async def _drain(self) -> None:
        while self.unsent:
            await self.wait_writable()
            self.flush()


def make_tls_context(options: TlsOptions) -> ssl.SSLContext:
    """Load certificates from their files; raises `InvalidUrl` naming the option whose file is of no use."""
    option = "ssl_ca_certs"
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
        if options.cert_file is not None:
            option = "ssl_certfile" if options.key_file is None else "ssl_certfile or ssl_keyfile"
            # A password prompt would hang a server that nobody watches.
            context.load_cert_chain(options.cert_file, options.key_file, password=lambda: "")
    except OSError as exc:
        raise InvalidUrl(
            f"option {option}", "names a file that cannot be read as a certificate or key"
        ) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = options.verify and options.check_hostname
    if not options.verify:
        context.verify_mode = ssl.CERT_NONE
    return context


async def open_transport(address: Address, tls: ssl.SSLContext | None, timeout: float) -> Transport:
    """Connect within `timeout` seconds, name resolution and TLS handshake included; raises `ConnectionFailed`."""
    try:
        with anyio.fail_after(timeout):
            sock = await _connect(address)
            if tls is None:
                return SocketTransport(sock)
            transport = TlsTransport(sock, tls, address.host)
            try:
                await transport.handshake()
            except BaseException:
                transport.close()
                raise
            return transport
    except TimeoutError as exc:
        raise ConnectionFailed("the Redis server did not answer in time", address=str(address)) from exc
    except ssl.SSLError as exc:
        what = (
            "certificate is not trusted"
            if isinstance(exc, ssl.SSLCertVerificationError)
            else "TLS handshake failed"
        )
        raise ConnectionFailed(f"the Redis server's {what}", address=str(address)) from exc
    except (OSError, UnicodeError) as exc:
        # UnicodeError: a host name that no resolver takes.
        raise ConnectionFailed("the Redis server could not be reached", address=str(address)) from exc


async def _connect(address: Address) -> socket.socket:
    if address.path is not None:
        return await _connect_one(socket.AF_UNIX, address.path)
    failure: OSError | None = None
    for family, _, _, _, sockaddr in await anyio.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        try:
            sock = await _connect_one(family, sockaddr)
        except OSError as exc:
            failure = exc
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return sock
    raise failure or OSError("the host has no address")


async def _connect_one(family: int, sockaddr: str | tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        try:
            sock.connect(sockaddr)
        except BlockingIOError:
            await anyio.wait_writable(sock)
            if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(error, os.strerror(error)) from None
    except BaseException:
        sock.close()
        raise
    return sock
