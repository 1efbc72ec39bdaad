"""The admin port: is it alive, can it be relied on, what does it count."""

from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Check = Callable[[], str | None]


class Health:
    """`ready` checks say why a service cannot be relied on now; `live` checks why only a restart would help.

    A check returns its reason, or None while all is well.
    """

    def __init__(self) -> None:
        self._ready: dict[str, Check] = {}
        self._live: dict[str, Check] = {}

    def add_ready(self, name: str, check: Check) -> None:
        self._ready[name] = check

    def add_live(self, name: str, check: Check) -> None:
        self._live[name] = check

    def app(self) -> Starlette:
        """`/health/live`, `/health/ready`, `/metrics`."""

        async def live(_: Request) -> Response:
            return _report(self._live)

        async def ready(_: Request) -> Response:
            return _report(self._ready | self._live)

        async def metrics(_: Request) -> Response:
            return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

        return Starlette(
            routes=[Route("/health/live", live), Route("/health/ready", ready), Route("/metrics", metrics)]
        )


def _report(checks: Mapping[str, Check]) -> Response:
    reasons = {name: reason for name, check in checks.items() if (reason := check()) is not None}
    return JSONResponse(
        {"status": "unwell", "reasons": reasons} if reasons else {"status": "ok"}, 503 if reasons else 200
    )
