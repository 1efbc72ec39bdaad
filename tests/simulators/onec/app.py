"""The published infobase: authentication, OData requests and answers, control calls."""

import asyncio
import base64
import binascii
import hmac
import re
import time
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import orjson
from starlette.requests import Request
from starlette.responses import Response

from tests.simulators.kit.calls import Call
from tests.simulators.kit.clock import SimClock
from tests.simulators.kit.faults import Fault
from tests.simulators.kit.rows import Rows
from tests.simulators.kit.serve import Simulator
from tests.simulators.onec import atom, people
from tests.simulators.onec.access import Access
from tests.simulators.onec.config import SETS, Nature
from tests.simulators.onec.errors import (
    FAILURE,
    HTTP_METHOD,
    PRECONDITION,
    UNKNOWN_METHOD,
    UNSUPPORTED,
    OneCError,
    bad_option,
)
from tests.simulators.onec.metadata import metadata
from tests.simulators.onec.query import (
    JSON_FORMATS,
    Resource,
    matching,
    options,
    page,
    resource,
    selected,
    set_name,
    shown,
)
from tests.simulators.onec.store import Infobase
from tests.simulators.onec.trouble import Trouble, no_licence, session_over
from tests.simulators.onec.values import Row

ROOT = "/odata/standard.odata"
_BOM = b"\xef\xbb\xbf"
_XML = "application/xml;charset=utf-8"
_ATOM = "application/atom+xml;charset=utf-8"
_NO_USER = "Идентификация пользователя не выполнена\nНеправильное имя или пароль пользователя"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LEAD = re.compile(f"""ИдентификаторЛида["'=: ]+({_UUID})|truce:({_UUID})""")
_POSTING = {"Post": True, "Unpost": False}


class OneC(Simulator):
    """1C as its web server publishes it under `/crm`."""

    def __init__(self, user: str, password: str, zone: ZoneInfo, rows: Rows, clock: SimClock) -> None:
        super().__init__("1C simulator", "/crm", clock)
        self._credentials = f"{user}:{password}".encode()
        self._zone = zone
        self._infobase = Infobase(rows)
        self._trouble = Trouble()
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
        """One call to 1C, with whatever fault strikes it."""
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
        as_json = _wants_json(request)
        body = await request.body()
        call.lead = _lead_in(body, below)
        fault = self._trouble.strike(call.set, request.method, self.clock.now())
        try:
            if fault is not None:
                call.fault = fault.mode
                if (instead := await self._trouble.before(fault, "ibsession" in request.headers)) is not None:
                    return instead
            given = options(request.scope["query_string"])
            if fault is not None and fault.mode == "late_commit":
                late = asyncio.create_task(self._later(fault, request, call, below, given, body))
                self._late.add(late)
                late.add_done_callback(self._late.discard)
                return None
            response = self._answer(request, below, given, body, as_json)
            call.committed = request.method != "GET"
        except OneCError as refusal:
            response = refusal.response(as_json)
        return response if fault is None else self._trouble.after(fault, response)

    async def _later(
        self, fault: Fault, request: Request, call: Call, below: str, given: dict[str, str], body: bytes
    ) -> None:
        """The client is gone, and the write goes on; what it comes to, nobody is told."""
        await asyncio.sleep(fault.number("seconds", 3))
        with suppress(OneCError):
            self._answer(request, below, given, body, True)
            call.committed = True

    def _known_user(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            # Byte by byte: a name or password sent as windows-1251 is not the same name in UTF-8.
            return hmac.compare_digest(base64.b64decode(token.strip(), validate=True), self._credentials)
        except binascii.Error:
            return False

    def _answer(self, request: Request, below: str, given: dict[str, str], body: bytes, as_json: bool) -> Response:
        root = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}{self.prefix}{ROOT}"
        render = _Renderer(
            root, as_json, "nometadata" in (given.get("$format", "") + request.headers.get("accept", ""))
        )
        if below in ("", "$metadata"):
            _only_get(request)
            if below:
                return Response(metadata(), media_type=_XML)
            return render.service()
        target = resource(below)
        if request.method == "GET":
            return self._read(target, given, render)
        if target.key is not None and self._access.strict_412:
            self._must_match(request, target)
        return self._write(request.method, target, body, render)

    def _read(self, target: Resource, given: dict[str, str], render: "_Renderer") -> Response:
        entity = target.entity
        if target.key is None and target.rest == "$count":
            count = len(matching(self._infobase, entity, given))
            return Response(_BOM + str(count).encode(), media_type="text/plain;charset=utf-8")
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
        """As the vendor's guide says; live, whatever stands in `If-Match` is not looked at."""
        wanted = request.headers.get("if-match", "*").removeprefix("W/").strip('"')
        assert target.key is not None
        if wanted not in ("*", self._infobase.get(target.entity, target.key).get("DataVersion", "*")):
            raise OneCError(412, PRECONDITION, "Версия данных сущности не совпадает с переданной в If-Match")

    def _write(self, method: str, target: Resource, body: bytes, render: "_Renderer") -> Response:
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
        self._trouble = Trouble()
        self._access = Access()
        self._latency_s = 0.0
        for late in self._late:
            late.cancel()
        self.log.clear()
        self.clock.reset()
        return {"status": "ok"}

    async def _seed(self, order: Any) -> Any:
        if isinstance(order, dict):
            order = order.get("clients", order)
        orders = order if isinstance(order, list) else [order]
        # All of them are looked at before the first is entered, so that a mistake enters none.
        for item in orders:
            people.contact_row(str(item["phone"]), str(item.get("form") or ""))
            str(item["full_name"])
        now = self.clock.now()
        return {"clients": [people.enter_enquiry(self._infobase, item, now, self._zone) for item in orders]}

    async def _office(self, order: Any) -> Any:
        return people.act(self._infobase, order, self.clock.now(), self._zone)

    async def _set_access(self, order: Any) -> Any:
        self._access.order(order)
        return self._access.as_json()

    async def _set_latency(self, order: Any) -> Any:
        self._latency_s = float(order["ms"]) / 1000
        return {"ms": order["ms"]}

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

    async def _fault(self, order: Any) -> Any:
        self._trouble.order(order)
        return {"faults": [fault.as_json() for fault in self._trouble.table.active]}

    async def _clock(self, order: Any) -> Any:
        self.clock.apply(order, self._zone)
        return {"now": self.clock.now().astimezone(self._zone).isoformat()}

    async def _journal(self, _: Any) -> Any:
        return people.partner_journal(self._infobase, self._zone)

    async def _general_journal(self, _: Any) -> Any:
        return people.general_journal(self._infobase, self._zone)


def _wants_json(request: Request) -> bool:
    # Read apart from the other options, because a refusal of those is also answered in this form.
    chosen = parse_qs(request.scope["query_string"].decode("latin-1")).get("$format")
    if chosen:
        return chosen[0].partition(";")[0] in JSON_FORMATS
    # `*/*`, which most clients send by themselves, is not a wish for JSON.
    return "application/json" in request.headers.get("accept", "")


def _lead_in(body: bytes, below: str) -> str:
    """The lead that a write is about: its id stands in the key, in a field, or in our mark in a comment."""
    found = _LEAD.search(f"{below} {body.decode(errors='replace')}")
    return found[1] or found[2] if found is not None else ""


def _only_get(request: Request) -> None:
    if request.method != "GET":
        raise OneCError(405, HTTP_METHOD, "Использованный HTTP-метод запрещен в данном контексте")


def _parsed(body: bytes) -> dict[str, Any]:
    text = body.removeprefix(_BOM)
    if text.lstrip().startswith(b"<"):
        raise OneCError(501, UNSUPPORTED, "Симулятор не принимает Atom, только JSON")
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise OneCError(500, FAILURE, "Непредвиденный символ при чтении JSON") from None
    if not isinstance(parsed, dict):
        raise OneCError(500, FAILURE, "Непредвиденный символ при чтении JSON")
    return parsed


class _Renderer:
    """Answers in the form this request asked for."""

    def __init__(self, root: str, as_json: bool, bare: bool) -> None:
        self._root = root
        self._as_json = as_json
        self._bare = bare

    def _json(self, context: str, body: dict[str, Any], status: int) -> Response:
        if not self._bare:
            body = {"odata.metadata": f"{self._root}/$metadata{context}", **body}
        level = "nometadata" if self._bare else "minimalmetadata"
        return Response(orjson.dumps(body), status, media_type=f"application/json;odata={level};charset=utf-8")

    def service(self) -> Response:
        """The list of sets."""
        if not self._as_json:
            return Response(atom.service(SETS), media_type=_XML)
        return self._json("", {"value": [{"name": name, "url": name} for name in SETS]}, 200)

    def collection(self, name: str, rows: list[Row], count: int | None) -> Response:
        """Several objects; the count is a string, as in 1C."""
        if not self._as_json:
            return Response(atom.feed(rows), media_type=_ATOM)
        counted = {} if count is None else {"odata.count": str(count)}
        return self._json(f"#{name}", {**counted, "value": rows}, 200)

    def element(self, name: str, row: Row, status: int = 200) -> Response:
        """One object."""
        if not self._as_json:
            return Response(atom.entry(row), status, media_type=_ATOM)
        return self._json(f"#{name}/@Element", row, status)

    def created(self, name: str, row: Row) -> Response:
        """A new object and where it is; 1C writes the address as raw UTF-8."""
        response = self.element(name, row, 201)
        address = f"{self._root}/{name}(guid'{row['Ref_Key']}')"
        response.raw_headers.append((b"location", address.encode()))
        return response
