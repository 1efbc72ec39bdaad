"""HTTP requests to 1C inside sessions that are kept open and used again.

Every session holds a licence of 1C until it ends or expires. So a session is not started for each request, but used
for one request after another, and ended when the gateway stops.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import httpx
import orjson

from services.onec_gateway.onec.errors import NoAnswer, NotReached, OneCError

CONNECT_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 5.0
_SESSION_OVER: Final = 406


class Transport:
    """Sends requests with the credentials of one user, over at most `connections` connections at the same time.

    `timeout_s` limits the time without any data from 1C.
    """

    def __init__(self, user: str, password: str, *, connections: int, timeout_s: float) -> None:
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(user, password),  # httpx encodes them in UTF-8, as 1C requires
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            limits=httpx.Limits(max_connections=connections),
            trust_env=False,
        )
        self._free_sessions: list[str] = []
        self._has_sessions = True

    async def send(self, method: str, url: str, record: Mapping[str, Any] | None) -> tuple[int, bytes]:
        """The HTTP status and the body of the answer; `record` is sent as JSON.

        Raises NotReached if no connection could be made, NoAnswer if no complete answer came back.
        """
        session = self._free_sessions.pop() if self._free_sessions else None
        try:
            response = await self._send(method, url, record, session)
        except OneCError:
            if session is not None:
                # The session still exists in 1C and holds a licence. 1C may still be busy in it: use it last.
                self._free_sessions.insert(0, session)
            raise
        if response.status_code == _SESSION_OVER and session is not None:
            # 1C ended the session and did not process the request: repeat it in a new session, once.
            session = None
            response = await self._send(method, url, record, None)
        new_session = response.cookies.get("ibsession")
        if session is None and new_session is None and response.status_code < 400:
            self._has_sessions = False
        session = new_session or session
        if session is not None and response.status_code not in (401, 403, _SESSION_OVER):
            self._free_sessions.append(session)
        return response.status_code, response.content

    async def close(self, url: str) -> None:
        """End all sessions by a request each to `url`, so that they free their licences, and close the connections."""
        with suppress(TimeoutError, httpx.HTTPError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                for session in self._free_sessions:
                    headers = {"ibsession": "finish", "cookie": f"ibsession={session}"}
                    await self._http.get(url, headers=headers)
        await self._http.aclose()

    async def _send(
        self, method: str, url: str, record: Mapping[str, Any] | None, session: str | None
    ) -> httpx.Response:
        headers = {"accept": "application/json", "content-type": "application/json; charset=utf-8"}
        if session is not None:
            headers["cookie"] = f"ibsession={session}"
        elif self._has_sessions:
            headers["ibsession"] = "start"
        try:
            # The cookie is set by hand: the client's own jar would share one session between parallel requests.
            self._http.cookies.clear()
            content = None if record is None else orjson.dumps(record)
            return await self._http.request(method, url, content=content, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise NotReached("not-connected") from None
        except httpx.TimeoutException:
            raise NoAnswer("timeout") from None
        except httpx.HTTPError:
            raise NoAnswer("broken-off") from None
