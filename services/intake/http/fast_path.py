"""`POST /v1/leads` without FastAPI's routing, dependencies and validation, which took a third of the request's time.

Portals send this request by the thousand. The fast path handles a request with plain headers, a valid key and a valid
body; FastAPI handles every other request and returns the error. Both ways give the same response:
`tests/intake/test_fast_path.py` compares them case by case.
"""

from collections.abc import Awaitable, Callable

from fastapi import Response
from pydantic import ValidationError
from starlette.types import Scope

from contracts.portal import SubmitLead
from services.intake.http.access import Keyring
from services.intake.http.problems import error_response

PATH = "/v1/leads"

SubmitRoute = Callable[[SubmitLead, str, str | None, str | None], Awaitable[Response]]
"""The handler of the route: body, portal, idempotency key, traceparent → response. Raises Problem."""


class FastPath:
    """Authenticates and validates a submission itself and calls `submit`, the handler that FastAPI would call."""

    def __init__(self, keyring: Keyring, submit: SubmitRoute) -> None:
        self._keyring = keyring
        self._submit = submit

    async def respond(self, scope: Scope, body: bytes) -> Response | None:
        """The response; None means that FastAPI must handle the request."""
        if scope["method"] != "POST" or scope["path"] != PATH:
            return None
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        scheme, _, key = headers.get(b"authorization", "").partition(" ")
        media_type = headers.get(b"content-type", "").partition(";")[0].rstrip()
        # Fewer names than headers: some header is repeated.
        if len(headers) < len(scope["headers"]) or scheme != "Bearer" or media_type != "application/json":
            return None
        try:
            portal = await self._keyring.portal(key)
            if portal is None or "leads" not in portal[1]:
                return None
            try:
                lead = SubmitLead.model_validate_json(body)
            except ValidationError:
                return None
            return await self._submit(lead, portal[0], headers.get(b"idempotency-key"), headers.get(b"traceparent"))
        except Exception as error:
            return error_response(error, PATH)
