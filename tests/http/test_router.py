"""Which handler answers what."""

import pytest

from pais_lite.errors import NotFound
from pais_lite.http import Route, Router
from pais_lite.http.errors import MethodNotAllowed


def handler() -> str:
    return ""


ROUTER = Router(
    [
        Route("GET", "/", handler),
        Route("GET", "/health", handler),
        Route("POST", "/health/reset", handler),
        Route("GET", "/v1/models/{id:path}", handler),
        Route("DELETE", "/sessions/{id}", handler),
        Route("GET", "/sessions/{id}", handler),
        Route("GET", "/sessions/{id}/events/{number}", handler),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "params"),
    [
        ("GET", "/", {}),
        ("GET", "/health", {}),
        ("HEAD", "/health", {}),
        ("GET", "/v1/models/gpt", {"id": "gpt"}),
        ("HEAD", "/v1/models/org/gpt", {"id": "org/gpt"}),
        ("GET", "/v1/models/a//b/", {"id": "a//b/"}),
        ("GET", "/v1/models/{id:path}", {"id": "{id:path}"}),
        ("DELETE", "/sessions/a b:c@d", {"id": "a b:c@d"}),
        ("GET", "/sessions/1/events/2", {"id": "1", "number": "2"}),
    ],
)
def test_found(method: str, path: str, params: dict[str, str]) -> None:
    assert ROUTER.find(method, path).params == params


@pytest.mark.parametrize(
    "path",
    [
        "",
        "health",
        "/health/",
        "//health",
        "/Health",
        "/v1/models/",
        "/v1/models",
        "/sessions/",
        "/sessions/a/b",
    ],
)
def test_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        ROUTER.find("GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/health", "GET, HEAD"),
        ("HEAD", "/health/reset", "POST"),
        ("OPTIONS", "/v1/models/x", "GET, HEAD"),
        ("PATCH", "/sessions/x", "DELETE, GET, HEAD"),
        ("get", "/health", "GET, HEAD"),
    ],
)
def test_other_methods_are_told_which_ones_work(method: str, path: str, allow: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        ROUTER.find(method, path)
    assert caught.value.allow == allow


def test_allowed_methods_of_a_path() -> None:
    assert ROUTER.allowed("/sessions/x") == "DELETE, GET, HEAD"
    with pytest.raises(NotFound):
        ROUTER.allowed("/nowhere")
