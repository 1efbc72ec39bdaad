"""What the adapters of providers with an HTTP interface share."""

from typing import Final

import httpx

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 30.0

NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""Errors before the first byte of the request was written: it is certain that the provider received nothing."""


def client(url: str, connect_timeout_s: float, read_timeout_s: float) -> httpx.AsyncClient:
    """An HTTP client that connects to the provider directly, whatever proxy the environment names."""
    # A proxy would see passwords and texts, and its errors could not be told apart from the provider's.
    return httpx.AsyncClient(
        base_url=url, timeout=httpx.Timeout(read_timeout_s, connect=connect_timeout_s), trust_env=False
    )
