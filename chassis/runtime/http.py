"""A uvicorn server inside the service's own loop; signals stay with the service."""

import contextlib
import socket
import sys
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

GRACE_S = 10
# Longer than clients and proxies keep theirs (5 to 60 s): a request on its way never meets a connection just ended.
KEEP_ALIVE_S = 75


class HttpServer:
    """Serves one ASGI app. A taken port ends the process with a message."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._socket = _listen(host, port)
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                proxy_headers=False,  # nothing here asks who is behind a proxy
                lifespan="off",
                loop="none",
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=KEEP_ALIVE_S,
                backlog=512,
            )
        )

    async def run(self) -> None:
        """Until `stop`; what is being answered is answered."""
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
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
    listener.listen(512)
    listener.setblocking(False)
    return listener
