"""The envelope of JSON-RPC 2.0: what a request is, and what goes back. Batches are not part of A2A, and are refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pais_lite.api.a2a.errors import RpcError, error_object, invalid_params, invalid_request

__all__ = ["RpcCall", "RpcId", "error_response_object", "maybe_id", "read_call", "response_object"]

RpcId = str | int | None


@dataclass(frozen=True, slots=True)
class RpcCall:
    """A call: which method, with what. One without an `id` is answered all the same, with the id `null`."""

    id: RpcId
    method: str
    params: Mapping[str, Any]


def maybe_id(body: object) -> RpcId:
    """Return the id of whatever was sent, as far as it has one that can be: errors carry it too."""
    found = body.get("id") if isinstance(body, Mapping) else None
    return found if isinstance(found, str | int) and not isinstance(found, bool) else None


def read_call(body: object) -> RpcCall:
    """Read a decoded body.

    Raises:
        RpcError: it is no request (-32600), or its parameters are no object (-32602).
    """
    if isinstance(body, list):
        raise invalid_request("batches are not part of A2A")
    if not isinstance(body, Mapping):
        raise invalid_request("it has to be an object")
    if body.get("jsonrpc") != "2.0":
        raise invalid_request('jsonrpc has to be "2.0"')
    if body.get("id") is not None and maybe_id(body) is None:
        raise invalid_request("id has to be a string or a whole number")
    method = body.get("method")
    if not isinstance(method, str) or not method:
        raise invalid_request("method has to be a string")
    params = body.get("params", {})
    if not isinstance(params, Mapping):
        raise invalid_params("has to be an object", "params")
    return RpcCall(maybe_id(body), method, params)


def response_object(call_id: RpcId, result: Any) -> dict[str, Any]:
    """Return the response of a call that worked."""
    return {"jsonrpc": "2.0", "id": call_id, "result": result}


def error_response_object(call_id: RpcId, error: RpcError) -> dict[str, Any]:
    """Return the response of a call that did not."""
    return {"jsonrpc": "2.0", "id": call_id, "error": error_object(error)}
