"""What a URL may say, and how it is refused without giving its secrets away."""

import pytest

from pais_lite.errors import ConfigurationError
from pais_lite.resp.errors import InvalidUrl
from pais_lite.resp.url import Address, RedisUrl, TlsOptions, parse_url

HERE = (Address("localhost", 6379),)


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("redis://localhost", RedisUrl(HERE)),
        ("redis://localhost/", RedisUrl(HERE)),
        ("redis://localhost:7/3", RedisUrl((Address("localhost", 7),), database=3)),
        ("redis://localhost?db=3", RedisUrl(HERE, database=3)),
        (
            "redis://:p@a:7,b,[::1]:8",
            RedisUrl((Address("a", 7), Address("b", 6379), Address("::1", 8)), password="p"),
        ),
        ("redis://[::1]:7", RedisUrl((Address("::1", 7),))),
        ("redis://[::1]", RedisUrl((Address("::1", 6379),))),
        ("redis://:p%40%3A%2F@localhost", RedisUrl(HERE, password="p@:/")),
        ("redis://us%C3%A9r:p:q@r@localhost", RedisUrl(HERE, username="usér", password="p:q@r")),
        ("rediss://localhost", RedisUrl(HERE, tls=TlsOptions())),
        (
            "rediss://localhost?ssl_ca_certs=/ca%20s&ssl_certfile=/c&ssl_keyfile=/k&ssl_cert_reqs=none",
            RedisUrl(HERE, tls=TlsOptions("/ca s", "/c", "/k", verify=False)),
        ),
        ("rediss://localhost?ssl_check_hostname=false", RedisUrl(HERE, tls=TlsOptions(check_hostname=False))),
        ("unix:///run/redis%20x.sock?db=2", RedisUrl((Address(path="/run/redis x.sock"),), database=2)),
        ("unix://:p@/run/redis.sock", RedisUrl((Address(path="/run/redis.sock"),), password="p")),
        (
            "redis://localhost?socket_connect_timeout=1.5&command_timeout=2&client_name=me",
            RedisUrl(HERE, connect_timeout=1.5, command_timeout=2, client_name="me"),
        ),
        (
            "redis+sentinel://:p@a,b:1,[::1]:2/my%20primary/4?sentinel_password=s",
            RedisUrl(
                (Address("a", 26379), Address("b", 1), Address("::1", 2)),
                service="my primary",
                password="p",
                database=4,
                sentinel_password="s",
            ),
        ),
        ("rediss+sentinel://a/svc", RedisUrl((Address("a", 26379),), service="svc", tls=TlsOptions())),
    ],
)
def test_urls_that_are_understood(url: str, parsed: RedisUrl) -> None:
    assert parse_url(url) == parsed


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("localhost:6379", "scheme"),
        ("http://:hunter2@localhost", "scheme"),
        ("redis://", "host"),
        ("redis://:hunter2@", "host"),
        ("redis://:hunter2@a,", "host"),
        ("redis://:hunter2@[::1", "host"),
        ("redis://:hunter2@localhost:0", "port"),
        ("redis://:hunter2@localhost:65536", "port"),
        ("redis://hunter2:x@localhost:port", "port"),
        ("redis://:hunter2%FF@localhost", "password"),
        ("redis://hunter2@localhost", "password"),
        ("redis://:hun#ter2@localhost", "fragment"),
        ("redis://:hunter2@localhost/one", "database"),
        ("redis://:hunter2@localhost?db=-1", "option db"),
        ("redis://:hunter2@localhost/1?db=1", "option db"),
        ("redis://:hunter2@localhost?socket_timeout=0", "option socket_timeout"),
        ("redis://:hunter2@localhost?connect_timeout=inf", "option socket_connect_timeout"),
        ("redis://:hunter2@localhost?client_name=a%20b", "option client_name"),
        ("redis://:hunter2@localhost?colour=blue", "option colour"),
        ("redis://:x@localhost?hunter2%00=blue", "query"),
        ("redis://:hunter2@localhost?db", "query"),
        ("redis://:hunter2@localhost?db=1&db=2", "query"),
        ("redis://:hunter2@localhost?ssl_ca_certs=/ca", "option ssl_ca_certs"),
        ("rediss://:hunter2@localhost?ssl_keyfile=/k", "option ssl_certfile"),
        ("rediss://:hunter2@localhost?ssl_cert_reqs=maybe", "option ssl_cert_reqs"),
        ("rediss://:hunter2@localhost?ssl_ca_certs=", "option ssl_ca_certs"),
        ("redis://localhost?sentinel_password=hunter2", "option sentinel_password"),
        ("unix://:hunter2@host/path", "host"),
        ("unix://", "path"),
        ("redis+sentinel://:hunter2@a,b", "service"),
        ("redis+sentinel://:hunter2@a,/svc", "host"),
        ("redis+sentinel://:hunter2@a/svc/x", "database"),
    ],
)
def test_complaints_name_the_part_and_show_no_secret(url: str, part: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        parse_url(url)
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.part == part
    assert part in str(caught.value)
    cause: BaseException | None = caught.value
    while cause is not None:
        assert "hunter2" not in repr(cause)
        cause = cause.__cause__


def test_repr_shows_no_secret() -> None:
    url = parse_url("redis+sentinel://alice:hunter2@a/svc?sentinel_password=hunter3")
    assert "hunter" not in repr(url)
    assert "alice" in repr(url)
    assert "hunter" not in str(url)


def test_addresses_read_as_people_write_them() -> None:
    assert [str(Address("a", 1)), str(Address("::1", 1)), str(Address(path="/s"))] == ["a:1", "[::1]:1", "/s"]
