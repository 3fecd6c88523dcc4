"""Where the server is and how to speak to it, read from one URL.

- `redis://[user[:password]@]host[:port][,host[:port]...][/database]`, and `rediss://` for TLS; several hosts are nodes of
  one cluster, any of which may be away
- `unix://[user[:password]@]/path/to/socket[?db=database]`
- `redis+sentinel://[user[:password]@]host[:port][,host[:port]...]/service[/database]`, and `rediss+sentinel://`

User, password, path and service are percent-decoded. Options follow as a query, under the names that redis-py made
common: `db`, `socket_connect_timeout` (seconds to connect in; also `connect_timeout`), `socket_timeout` (seconds that the
server may be silent while it owes an answer; also `command_timeout`), `client_name`, and for TLS `ssl_ca_certs`,
`ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs` (`required`, `none`) and `ssl_check_hostname` (`true`, `false`); for
sentinels that have users of their own `sentinel_username` and `sentinel_password`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pais_lite.resp.errors import InvalidUrl

__all__ = ["Address", "RedisUrl", "TlsOptions", "parse_url"]

_T = TypeVar("_T")
_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_ALIASES = {"connect_timeout": "socket_connect_timeout", "command_timeout": "socket_timeout"}
REDIS_PORT = 6379
SENTINEL_PORT = 26379


@dataclass(frozen=True)
class Address:
    """A TCP host and port, or the path of a Unix socket when `path` is set."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class TlsOptions:
    """How to prove who the server is, and who we are; the system's authorities vouch where `ca_file` is not set."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    check_hostname: bool = True


@dataclass(frozen=True)
class RedisUrl:
    """A URL in its parts; `repr` and `str` show no secret. Timeouts are in seconds.

    `addresses` are servers, several only of a cluster, or sentinels when `service` names the primary that they watch.
    """

    addresses: tuple[Address, ...]
    service: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    tls: TlsOptions | None = None
    connect_timeout: float = 5.0
    command_timeout: float = 5.0
    client_name: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def parse_url(url: str) -> RedisUrl:
    """Read a URL; raises `InvalidUrl`, which names the part at fault and never quotes it."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise InvalidUrl("scheme", f"must be one of {', '.join(f'{name}://' for name in _SCHEMES)}")
    try:
        # Host lists and empty hosts are none of urlsplit's business; it is only asked to cut.
        parts = urlsplit(f"//{rest}")
    except ValueError as exc:
        raise InvalidUrl("host", "is not well-formed; an IPv6 address stands in square brackets") from exc
    if parts.fragment:
        raise InvalidUrl("fragment", "is not allowed; write %23 for a # in the password")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    name, _, secret = userinfo.partition(":")
    options = _Options(parts.query)
    username, password = _decode("user", name), _decode("password", secret)
    if username and password is None:
        raise InvalidUrl("password", "is missing beside the user")
    service: str | None = None
    if scheme == "unix":
        if hosts:
            raise InvalidUrl("host", "must be absent: a socket's URL has three slashes, unix:///path")
        path = _decode("path", parts.path)
        if path is None or path == "/":
            raise InvalidUrl("path", "must name a socket")
        addresses: tuple[Address, ...] = (Address(path=path),)
        database = ""
    elif scheme.endswith("+sentinel"):
        addresses = tuple(_address(host, SENTINEL_PORT) for host in hosts.split(","))
        encoded, _, database = parts.path.lstrip("/").partition("/")
        service = _decode("service", encoded)
        if service is None:
            raise InvalidUrl("service", "is missing: redis+sentinel://host:port/service/database")
    else:
        addresses = tuple(_address(host, REDIS_PORT) for host in hosts.split(","))
        database = parts.path.lstrip("/")
    result = RedisUrl(
        addresses=addresses,
        service=service,
        username=username,
        password=password,
        database=_database("database", database) if database else options.take("db", _database, 0),
        tls=_tls_options(options) if scheme.startswith("rediss") else None,
        connect_timeout=options.take("socket_connect_timeout", _seconds, RedisUrl.connect_timeout),
        command_timeout=options.take("socket_timeout", _seconds, RedisUrl.command_timeout),
        client_name=options.take("client_name", _client_name, None),
        sentinel_username=options.take("sentinel_username", _text, None) if service is not None else None,
        sentinel_password=options.take("sentinel_password", _text, None) if service is not None else None,
    )
    options.refuse_the_rest()
    return result


class _Options:
    """The query, of which every option must be taken exactly once."""

    def __init__(self, query: str) -> None:
        self._values: dict[str, str] = {}
        try:
            pairs = (
                parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
                if query
                else []
            )
        except ValueError as exc:
            raise InvalidUrl("query", "must be of the form name=value&name=value") from exc
        for name, value in pairs:
            canonical = _ALIASES.get(name, name)
            if canonical in self._values:
                raise InvalidUrl("query", "sets an option twice")
            self._values[canonical] = value

    def take(self, name: str, read: Callable[[str, str], _T], default: _T) -> _T:
        value = self._values.pop(name, None)
        return default if value is None else read(name, value)

    def refuse_the_rest(self) -> None:
        if self._values:
            # An option that nobody knows may be a misplaced secret: its name is shown only if it looks like a name.
            name = min(self._values)
            shown = f"option {name}" if name.isidentifier() and len(name) <= 32 else "query"
            raise InvalidUrl(shown, "is not known here")


def _tls_options(options: _Options) -> TlsOptions:
    tls = TlsOptions(
        ca_file=options.take("ssl_ca_certs", _text, None),
        cert_file=options.take("ssl_certfile", _text, None),
        key_file=options.take("ssl_keyfile", _text, None),
        verify=options.take("ssl_cert_reqs", _choice({"required": True, "none": False}), True),
        check_hostname=options.take("ssl_check_hostname", _choice({"true": True, "false": False}), True),
    )
    if tls.key_file is not None and tls.cert_file is None:
        raise InvalidUrl("option ssl_certfile", "is missing beside ssl_keyfile")
    return tls


def _address(text: str, default_port: int) -> Address:
    host, port = text, ""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise InvalidUrl("host", "is not well-formed; an IPv6 address stands in square brackets")
        port = port[1:]
    elif ":" in text:
        host, _, port = text.partition(":")
    if not host:
        raise InvalidUrl("host", "is missing")
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise InvalidUrl("port", "must be a number from 1 to 65535")
    return Address(unquote(host), int(port) if port else default_port)


def _decode(part: str, text: str) -> str | None:
    """Percent-decode what may be absent."""
    try:
        return unquote(text, errors="strict") or None
    except UnicodeDecodeError:
        # The cause would quote the text.
        raise InvalidUrl(part, "is not UTF-8 once percent-decoded") from None


def _database(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise InvalidUrl(name if name == "database" else f"option {name}", "must be a number, 0 or more")
    return int(value)


def _seconds(name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InvalidUrl(f"option {name}", "must be a number of seconds above 0")
    return seconds


def _client_name(name: str, value: str) -> str:
    # CLIENT SETNAME: no spaces, newlines or other special characters.
    if not value or not all("!" <= character <= "~" for character in value):
        raise InvalidUrl(f"option {name}", "must be printable ASCII without spaces")
    return value


def _text(name: str, value: str) -> str:
    if not value:
        raise InvalidUrl(f"option {name}", "must not be empty")
    return value


def _choice(choices: dict[str, bool]) -> Callable[[str, str], bool]:
    def read(name: str, value: str) -> bool:
        try:
            return choices[value.lower()]
        except KeyError:
            raise InvalidUrl(f"option {name}", f"must be one of {', '.join(choices)}") from None

    return read
