"""The admin port: liveness, readiness, metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chassis.observability.metrics import exposition

Check = Callable[[], str | None]
Paused = Callable[[], Sequence[Mapping[str, Any]]]
"""What the process does not read: `kind`, `topic`, `partition`, `offset`, `since` (RFC 3339), `why`."""


class Health:
    """Health checks of a service. A check returns the reason of a failure, or None.

    A failed readiness check means: do not rely on the service now. A failed liveness check means: only a restart helps.
    A degradation means: the service works, and a person must look at something; it does not change the HTTP status.
    """

    def __init__(self, service: str) -> None:
        self._service = service
        self._readiness: dict[str, Check] = {}
        self._liveness: dict[str, Check] = {}
        self._degradations: dict[str, Check] = {}
        self._paused: Paused = tuple

    def add_readiness(self, name: str, check: Check) -> None:
        self._readiness[name] = check

    def add_liveness(self, name: str, check: Check) -> None:
        self._liveness[name] = check

    def add_degradation(self, name: str, check: Check) -> None:
        self._degradations[name] = check

    def show_paused(self, paused: Paused) -> None:
        """What the process does not read, for the command `waiting`."""
        self._paused = paused

    def app(self) -> Starlette:
        """The routes of the admin port.

        `/health/live`, `/health/ready` (200, 200 with what is degraded, or 503 with the reasons), `/health/paused` (a
        JSON list) and `/metrics`.
        """

        async def live(_: Request) -> Response:
            return _report(self._liveness, {})

        async def ready(_: Request) -> Response:
            return _report(self._readiness | self._liveness, self._degradations)

        async def paused(_: Request) -> Response:
            return JSONResponse([dict(row) for row in self._paused()])

        async def metrics(_: Request) -> Response:
            return Response(exposition(self._service), media_type=CONTENT_TYPE_LATEST)

        return Starlette(
            routes=[
                Route("/health/live", live),
                Route("/health/ready", ready),
                Route("/health/paused", paused),
                Route("/metrics", metrics),
            ]
        )


def _report(checks: Mapping[str, Check], degradations: Mapping[str, Check]) -> Response:
    if reasons := _reasons(checks):
        return JSONResponse({"status": "failing", "reasons": reasons}, 503)
    if reasons := _reasons(degradations):
        return JSONResponse({"status": "degraded", "reasons": reasons})
    return JSONResponse({"status": "ok"})


def _reasons(checks: Mapping[str, Check]) -> dict[str, str]:
    return {name: reason for name, check in checks.items() if (reason := check()) is not None}
