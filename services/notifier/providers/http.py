"""What all providers spoken to over HTTP share."""

from typing import Final

import httpx

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 30.0

NEVER_LEFT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Whatever the request was, nobody has seen it."""


def client(url: str, connect_timeout_s: float, read_timeout_s: float) -> httpx.AsyncClient:
    """A client that asks nobody but the provider."""
    # A proxy taken from the environment would see passwords and texts, and blur what is certain.
    return httpx.AsyncClient(
        base_url=url, timeout=httpx.Timeout(read_timeout_s, connect=connect_timeout_s), trust_env=False
    )
