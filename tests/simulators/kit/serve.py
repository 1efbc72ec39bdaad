"""The HTTP server of a simulator: one ASGI application for both simulators, and the start and stop of the process."""

import argparse
import json
import logging
import signal
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.simulators.kit.calls import Call, CallLog
from tests.simulators.kit.clock import SimClock

Control = Callable[[Any], Awaitable[Any]]
CONTROL = "/__sim/"


def announce(message: str) -> None:
    """Print one line to stdout. The message must not contain a name or a phone."""
    print(message, flush=True)


def json_response(body: Any, status: int = 200) -> Response:
    """A JSON answer to a control call."""
    return Response(orjson.dumps(body), status, media_type="application/json")


class Simulator(ABC):
    """An ASGI application: paths under `/__sim/` are control calls, all others belong to the simulated system.

    `prefix` is the path under which the simulated system is published; control calls answer with and without it.
    """

    def __init__(self, title: str, prefix: str, clock: SimClock) -> None:
        self.title = title
        self.prefix = prefix
        self.clock = clock
        self.log = CallLog()
        self.controls: dict[tuple[str, str], Control] = {
            ("GET", "health"): self._health,
            ("GET", "calls"): self._calls,
        }

    @abstractmethod
    async def serve(self, request: Request, call: Call) -> Response | None:
        """The answer of the real system; None cuts the connection without an answer."""

    async def _health(self, _: Any) -> Any:
        return {"status": "ok", "simulator": self.title, "now": self.clock.now().isoformat()}

    async def _calls(self, _: Any) -> Any:
        return [call.as_json() for call in self.log.calls]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        request = Request(scope, receive)
        path: str = scope["path"]
        below = path.removeprefix(self.prefix) if self.prefix else path
        if below.startswith(CONTROL):
            response: Response | None = await self._control(request, below.removeprefix(CONTROL).strip("/"))
        else:
            response = await self._recorded(request)
        if response is None:
            await _cut(receive, send)
        else:
            await response(scope, receive, send)

    async def _recorded(self, request: Request) -> Response | None:
        call = self.log.start(request.method, request.scope["path"], request.scope["query_string"], self.clock.now())
        status = 0
        try:
            response = await self.serve(request, call)
            status = response.status_code if response is not None else 0
        except Exception as error:
            # A bug of the simulator must not look like a fault of the simulated system. Its type and place are
            # printed; its message could hold personal data.
            place = error.__traceback__
            while place is not None and place.tb_next is not None:
                place = place.tb_next
            where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else "?"
            announce(f"BUG in the simulator: {type(error).__name__} at {where} ({request.method} {call.set})")
            response = Response("simulator bug", status := 599)
        finally:
            self.log.finish(call, status)
        return response

    async def _control(self, request: Request, name: str) -> Response:
        handler = self.controls.get((request.method, name))
        if handler is None:
            known = sorted(f"{method} {CONTROL}{known}" for method, known in self.controls)
            return json_response({"error": "no such control call", "known": known}, 404)
        try:
            raw = await request.body()
            answer = await handler(json.loads(raw) if raw.strip() else {})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return json_response({"error": f"{type(error).__name__}: {error}"}, 422)
        if request.method != "GET":
            announce(f"control {name}")
        return json_response(answer)


async def _cut(receive: Receive, send: Send) -> None:
    # ASGI cannot cut a connection, so uvicorn's transport is taken from the bound method that it passes as `send`.
    # The wait lets uvicorn notice that the connection is closed; otherwise it would try to answer 500.
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise RuntimeError("cannot cut the connection: not served by uvicorn")
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def arguments(title: str, prog: str) -> argparse.ArgumentParser:
    """A parser with the options that both simulators have."""
    parser = argparse.ArgumentParser(prog=prog, description=title)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the store; made if absent")
    return parser


def run(app: Simulator, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. If the port cannot be bound: one line on stderr and exit code 2."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        print(f"{app.title}: cannot listen on {host}:{port}: {reason}", file=sys.stderr, flush=True)
        raise SystemExit(2) from None
    # uvicorn raises the signal again after its shutdown; with these handlers the exit code is 0.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    logging.disable(logging.CRITICAL)  # uvicorn would log requests with their query, and cancelled tasks
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            # Longer than clients keep idle connections, so that no request meets a connection that is being closed.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=0,
        )
    )
    bound = listener.getsockname()
    announce(f"{app.title}: listening on http://{host}:{bound[1]}")
    server.run(sockets=[listener])
    announce(f"{app.title}: stopped")
