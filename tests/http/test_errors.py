"""The table of errors: one status each, one envelope for all."""

import json

import pytest

from pais_lite import errors
from pais_lite.http import error_response
from pais_lite.http.errors import (
    BodyTooLarge,
    HeadersTooLarge,
    MethodNotAllowed,
    RequestTimeout,
    UnsupportedMediaType,
)

TABLE: list[tuple[Exception, int, str | None]] = [
    (errors.InvalidRequest("x", param="n"), 400, None),
    (errors.InvalidCredentials("x"), 401, "invalid_api_key"),
    (errors.NotFound("x"), 404, "not_found"),
    (MethodNotAllowed("GET"), 405, "method_not_allowed"),
    (RequestTimeout("x"), 408, "request_timeout"),
    (errors.Conflict("x"), 409, "conflict"),
    (BodyTooLarge(5), 413, "request_too_large"),
    (UnsupportedMediaType("x"), 415, "unsupported_media_type"),
    (errors.TooManyRuns("x"), 429, "too_many_runs"),
    (HeadersTooLarge(5), 431, "headers_too_large"),
    (errors.RunFailed("x"), 500, "run_failed"),
    (errors.RunCancelled("x"), 500, "cancelled"),
    (errors.MaxStepsExceeded("x"), 500, "max_steps_exceeded"),
    (errors.MockResponsesExhausted("x"), 500, "mock_responses_exhausted"),
    (errors.ConfigurationError("x"), 500, "configuration_error"),
    (errors.ModelUnavailable("x", code="429"), 502, "429"),
    (errors.ModelMisbehaved("x"), 502, "model_behavior"),
    (errors.MemoryUnavailable("x"), 503, "memory_unavailable"),
    (errors.ServerDraining("x"), 503, "server_shutdown"),
    (errors.RunTimedOut("x"), 504, "run_timeout"),
    (KeyError("secret"), 500, "internal_error"),
]


@pytest.mark.parametrize(("error", "status", "code"), TABLE, ids=lambda value: type(value).__name__)
def test_status_and_envelope(error: Exception, status: int, code: str | None) -> None:
    response = error_response(error)
    body = json.loads(response.body)["error"]
    assert response.status == status
    assert set(body) == {"message", "type", "param", "code"}
    assert body["code"] == code
    assert isinstance(body["message"], str)
    assert isinstance(body["type"], str)
    assert "secret" not in body["message"]
    assert "x-should-retry" not in response.headers


@pytest.mark.parametrize(("error", "status", "code"), TABLE, ids=lambda value: type(value).__name__)
def test_failure_of_a_run_is_not_to_be_repeated(error: Exception, status: int, code: str | None) -> None:
    assert error_response(error, run_begun=True).headers["x-should-retry"] == "false"


def test_headers_that_go_with_a_status() -> None:
    assert error_response(errors.InvalidCredentials("x")).headers["www-authenticate"] == "Bearer"
    assert error_response(MethodNotAllowed("GET, HEAD")).headers["allow"] == "GET, HEAD"
    for busy in (errors.TooManyRuns("x"), errors.ServerDraining("x"), errors.MemoryUnavailable("x")):
        assert int(error_response(busy).headers["retry-after"]) >= 1


def test_field_is_named() -> None:
    body = json.loads(error_response(errors.InvalidRequest("x", param="n")).body)
    assert body["error"]["param"] == "n"
