"""The simulator of 1C: authentication, OData requests and control calls."""

import asyncio
import base64
import binascii
import hmac
import re
import time
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tests.simulators.kit.calls import Call
from tests.simulators.kit.clock import SimClock
from tests.simulators.kit.faults import Fault
from tests.simulators.kit.rows import Rows
from tests.simulators.kit.serve import Simulator
from tests.simulators.onec import office, views
from tests.simulators.onec.access import Access
from tests.simulators.onec.config import Nature
from tests.simulators.onec.errors import (
    FAILURE,
    HTTP_METHOD,
    PRECONDITION,
    UNKNOWN_METHOD,
    UNSUPPORTED,
    OneCError,
    bad_option,
)
from tests.simulators.onec.faults import BOM, Faults, no_licence, session_over
from tests.simulators.onec.metadata import metadata
from tests.simulators.onec.query import (
    Resource,
    matching,
    options,
    page,
    resource,
    selected,
    set_name,
    shown,
)
from tests.simulators.onec.render import XML, Renderer, wants_json
from tests.simulators.onec.store import Infobase

ROOT = "/odata/standard.odata"
_NO_USER = "Идентификация пользователя не выполнена\nНеправильное имя или пароль пользователя"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LEAD = re.compile(f"""ИдентификаторЛида["'=: ]+({_UUID})|truce:({_UUID})""")
_POSTING = {"Post": True, "Unpost": False}


class OneC(Simulator):
    """An infobase, published under `/crm`. Only this user may read and write. Dates are local times in `zone`."""

    def __init__(self, user: str, password: str, zone: ZoneInfo, rows: Rows, clock: SimClock) -> None:
        super().__init__("1C simulator", "/crm", clock)
        self._credentials = f"{user}:{password}".encode()
        self._zone = zone
        self._infobase = Infobase(rows)
        self._faults = Faults()
        self._access = Access()
        self._latency_s = 0.0
        self._late: set[asyncio.Task[None]] = set()
        self.controls |= {
            ("POST", "reset"): self._reset,
            ("POST", "seed"): self._seed,
            ("POST", "fault"): self._fault,
            ("POST", "clock"): self._clock,
            ("POST", "office"): self._office,
            ("POST", "access"): self._set_access,
            ("POST", "latency"): self._set_latency,
            ("GET", "state"): self._state,
            ("GET", "journal"): self._journal,
            ("GET", "general-journal"): self._general_journal,
        }

    # --- the simulated system ---

    async def serve(self, request: Request, call: Call) -> Response | None:
        """One call to 1C, changed by the fault that applies to it. None cuts the connection."""
        path: str = request.scope["path"]
        base = self.prefix + ROOT
        if path != base and not path.startswith(base + "/"):
            return Response("<html><body><h1>404 Not Found</h1></body></html>", 404, media_type="text/html")
        if not self._known_user(request):
            return Response(_NO_USER, 401, {"www-authenticate": 'Basic realm="1C:Enterprise 8.3"'}, "text/plain")
        below = path.removeprefix(base).strip("/")
        call.set = set_name(below)
        if (refusal := self._access.too_long(request)) is not None:
            return refusal
        refusal, session = self._access.admit(request, time.monotonic(), session_over, no_licence)
        if refusal is not None:
            return refusal
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        response = await self._serve(request, call, below)
        if response is not None and session is not None:
            response.set_cookie("ibsession", session, path="/")
        return response

    async def _serve(self, request: Request, call: Call, below: str) -> Response | None:
        as_json = wants_json(request)
        body = await request.body()
        call.lead = _lead_id(body, below)
        fault = self._faults.take(call.set, request.method, self.clock.now())
        try:
            if fault is not None:
                call.fault = fault.mode
                if (replacement := await self._faults.before(fault, "ibsession" in request.headers)) is not None:
                    return replacement
            given = options(request.scope["query_string"])
            if fault is not None and fault.mode == "late_commit":
                late = asyncio.create_task(self._commit_late(fault, request, call, below, given, body))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
                return None
            response = self._answer(request, below, given, body, as_json)
            call.committed = request.method != "GET"
        except OneCError as error:
            response = error.response(as_json)
        return response if fault is None else self._faults.after(fault, response)

    async def _commit_late(
        self, fault: Fault, request: Request, call: Call, below: str, given: dict[str, str], body: bytes
    ) -> None:
        """Execute a write after its connection was cut. Nobody receives the result."""
        await asyncio.sleep(fault.number("seconds", 3))
        with suppress(OneCError):
            self._answer(request, below, given, body, True)
            call.committed = True

    def _known_user(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            # Bytes are compared: a name or password in windows-1251 differs from the same text in UTF-8.
            return hmac.compare_digest(base64.b64decode(token.strip(), validate=True), self._credentials)
        except binascii.Error:
            return False

    def _answer(self, request: Request, below: str, given: dict[str, str], body: bytes, as_json: bool) -> Response:
        root = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}{self.prefix}{ROOT}"
        render = Renderer(
            root,
            as_json=as_json,
            bare="nometadata" in (given.get("$format", "") + request.headers.get("accept", "")),
        )
        if below in ("", "$metadata"):
            _only_get(request)
            if below:
                return Response(metadata(), media_type=XML)
            return render.service()
        target = resource(below)
        if request.method == "GET":
            return self._read(target, given, render)
        if target.key is not None and self._access.strict_412:
            self._must_match(request, target)
        return self._write(request.method, target, body, render)

    def _read(self, target: Resource, given: dict[str, str], render: Renderer) -> Response:
        entity = target.entity
        if target.key is None and target.rest == "$count":
            count = len(matching(self._infobase, entity, given))
            return Response(BOM + str(count).encode(), media_type="text/plain;charset=utf-8")
        if target.rest:
            raise OneCError(404, UNKNOWN_METHOD, f"Метод «{target.rest}» не найден")
        if target.key is None:
            found = page(self._infobase, entity, given)
            return render.collection(entity.name, found.rows, found.count)
        if given.get("$expand"):
            raise bad_option("$expand", "для одной сущности не поддерживается")
        row = self._infobase.get(entity, target.key)
        return render.element(entity.name, shown(row, selected(entity, given)))

    def _must_match(self, request: Request, target: Resource) -> None:
        """Check `If-Match` as the vendor's guide describes; a live base ignores the header. Raises OneCError."""
        wanted = request.headers.get("if-match", "*").removeprefix("W/").strip('"')
        assert target.key is not None
        if wanted not in ("*", self._infobase.get(target.entity, target.key).get("DataVersion", "*")):
            raise OneCError(412, PRECONDITION, "Версия данных сущности не совпадает с переданной в If-Match")

    def _write(self, method: str, target: Resource, body: bytes, render: Renderer) -> Response:
        entity, key = target.entity, target.key
        if method == "POST" and key is not None and target.rest in _POSTING and entity.nature is Nature.DOCUMENT:
            return render.element(entity.name, self._infobase.update(entity, key, {"Posted": _POSTING[target.rest]}))
        if target.rest:
            raise OneCError(404, UNKNOWN_METHOD, f"Метод «{target.rest}» не найден")
        match method, key:
            case "POST", None:
                row = self._infobase.create(entity, _parsed(body))
                if entity.nature is Nature.REGISTER:
                    return render.element(entity.name, row)
                return render.created(entity.name, row)
            case "PATCH" | "PUT", tuple():
                row = self._infobase.update(entity, key, _parsed(body), whole=method == "PUT")
                return render.element(entity.name, row)
            case "DELETE", tuple():
                self._infobase.delete(entity, key)
                return Response(status_code=204)
        raise OneCError(405, HTTP_METHOD, "Использованный HTTP-метод запрещен в данном контексте")

    # --- control calls ---

    async def _reset(self, _: Any) -> Any:
        self._infobase.reset()
        self._faults = Faults()
        self._access = Access()
        self._latency_s = 0.0
        for late in self._late:
            late.cancel()
        self.log.clear()
        self.clock.reset()
        return {"status": "ok"}

    async def _seed(self, body: Any) -> Any:
        if isinstance(body, dict):
            body = body.get("clients", body)
        clients = body if isinstance(body, list) else [body]
        # All clients are checked before the first is created, so that a wrong body creates none.
        for client in clients:
            office.contact_row(str(client["phone"]), str(client.get("form") or ""))
            str(client["full_name"])
        now = self.clock.now()
        return {"clients": [office.enter_enquiry(self._infobase, client, now, self._zone) for client in clients]}

    async def _office(self, body: Any) -> Any:
        return office.act(self._infobase, body, self.clock.now(), self._zone)

    async def _set_access(self, body: Any) -> Any:
        self._access.configure(body)
        return self._access.as_json()

    async def _set_latency(self, body: Any) -> Any:
        self._latency_s = float(body["ms"]) / 1000
        return {"ms": body["ms"]}

    async def _state(self, _: Any) -> Any:
        most = max((call.concurrent for call in self.log.calls), default=0)
        latency_ms = round(self._latency_s * 1000)
        return {
            **self._access.as_json(),
            "calls": len(self.log.calls),
            "most_at_once": most,
            "latency_ms": latency_ms,
            "late": len(self._late),
        }

    async def _fault(self, body: Any) -> Any:
        self._faults.switch(body)
        return {"faults": [fault.as_json() for fault in self._faults.table.active]}

    async def _clock(self, body: Any) -> Any:
        self.clock.apply(body, self._zone)
        return {"now": self.clock.now().astimezone(self._zone).isoformat()}

    async def _journal(self, _: Any) -> Any:
        return views.partner_journal(self._infobase, self._zone)

    async def _general_journal(self, _: Any) -> Any:
        return views.general_journal(self._infobase, self._zone)


def _lead_id(body: bytes, below: str) -> str:
    """The lead id in a write: in the key, in a field, or behind the gateway's marker in a comment. Empty if none."""
    found = _LEAD.search(f"{below} {body.decode(errors='replace')}")
    return found[1] or found[2] if found is not None else ""


def _only_get(request: Request) -> None:
    if request.method != "GET":
        raise OneCError(405, HTTP_METHOD, "Использованный HTTP-метод запрещен в данном контексте")


def _parsed(body: bytes) -> dict[str, Any]:
    text = body.removeprefix(BOM)
    if text.lstrip().startswith(b"<"):
        raise OneCError(501, UNSUPPORTED, "Симулятор не принимает Atom, только JSON")
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise OneCError(500, FAILURE, "Непредвиденный символ при чтении JSON") from None
    if not isinstance(parsed, dict):
        raise OneCError(500, FAILURE, "Непредвиденный символ при чтении JSON")
    return parsed
