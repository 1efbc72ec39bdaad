"""A uvicorn server inside the service's own event loop. Signals stay with the service."""

import contextlib
import socket
import sys
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from chassis.limits import HTTP_GRACE_S

# Longer than clients and proxies keep theirs (5 to 60 s), so that no request arrives on a connection just closed.
_KEEP_ALIVE_S = 75
_BACKLOG = 512


class HttpServer:
    """Serves one ASGI application. A taken port ends the process with a message."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                proxy_headers=False,  # no code here uses the client's address
                lifespan="off",
                loop="none",
                server_header=False,
                timeout_graceful_shutdown=HTTP_GRACE_S,
                timeout_keep_alive=_KEEP_ALIVE_S,
                backlog=_BACKLOG,
            )
        )

    async def run(self) -> None:
        """Serve until `stop`; then finish the requests in progress."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Accept no more requests."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        sys.exit(f"cannot listen on {host}:{port}: {error.strerror}")
    listener.listen(_BACKLOG)
    listener.setblocking(False)
    return listener
