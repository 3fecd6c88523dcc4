"""An HTTP client for servers on loopback ports."""

from typing import Any

import httpx2

__all__ = ["http_client", "is_up"]


def http_client(base_url: str = "", *, timeout: float = 60, **options: Any) -> httpx2.AsyncClient:
    """Return a client that uses no proxy, and reads no certificates: that takes 25 ms, and no server here has one."""
    return httpx2.AsyncClient(base_url=base_url, timeout=timeout, trust_env=False, verify=False, **options)


async def is_up(url: str) -> bool:
    """Say whether there is a server that answers 200 at `url`."""
    async with http_client() as client:
        try:
            return (await client.get(url)).status_code == 200
        except httpx2.TransportError:
            return False
