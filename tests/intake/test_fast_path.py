"""`POST /v1/leads` through the fast path and through FastAPI: every case has the same response both ways."""

import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.testing import capture_logs

from chassis.clock import Clock
from chassis.commands.decide import decide_once
from chassis.service import Database, Input, Runtime
from contracts.portal import SubmitLead
from contracts.sealing import encrypt_to
from services.intake.app import build
from services.intake.http.app import build_api
from services.intake.http.body_limit import limit_body
from services.intake.http.fast_path import FastPath
from services.intake.store.portals import add_portal
from tests.contracts.keys import INTAKE_JWK, private
from tests.intake.harness import migrated
from tests.intake.in_process import DECODER, SETTINGS

CLIENT = {"full_name": "Ветлугин Пётр", "phone": "8 916 555-01-23"}
CONSENT = {"given_at": "2026-11-01T12:00:00+03:00", "advertising": False}
LEAD: dict[str, Any] = {"partner_id": "anna", "client": CLIENT, "consent": CONSENT}
PORTAL_KEY, PARTNERS_ONLY_KEY, REVOKED_KEY = "trk_leads", "trk_partners", "trk_revoked"
PER_HOUR, OPEN_AT_MOST = 100, 200
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"
# `busy` has taken its hourly quota, with receipt times in the future: Retry-After is an hour whenever it is computed.
ROWS = f"""
    INSERT INTO partners (partner_id, person, digest, agreement, status)
    SELECT name, 'sealed', 'digest', '{{"number": "A-1", "signed_on": "2026-01-15"}}',
           CASE name WHEN 'boris' THEN 'suspended' ELSE 'active' END
    FROM unnest(ARRAY['anna', 'boris', 'busy', 'full']) AS name;
    INSERT INTO leads (lead_id, number, portal, partner_id, client_key, client, status, received_at,
                       reservation_events, history_count)
    SELECT gen_random_uuid(), -n, 'demo', 'busy', 'k1:busy', 'sealed', 'under-review',
           now() + interval '1 hour', '[]', -1
    FROM generate_series(1, {PER_HOUR}) AS n;
    INSERT INTO leads (lead_id, number, portal, partner_id, client_key, client, status, received_at,
                       reservation_events, history_count)
    SELECT gen_random_uuid(), -1000 - n, 'demo', 'full', 'k1:full', 'sealed', 'confirmed', '2026-01-01', '[]', 1
    FROM generate_series(1, {OPEN_AT_MOST}) AS n;
"""


@dataclass(frozen=True)
class Case:
    """A request and the status of its response. `fast`: the fast path answers it.

    `headers` replace those of a valid request; None removes a header, a list repeats it. Idempotency keys get a prefix
    for each run, so that runs do not meet.
    """

    name: str
    status: int
    body: Any = field(default_factory=lambda: LEAD)
    headers: dict[str, Any] = field(default_factory=dict)
    fast: bool = False
    code: str | None = None
    path: str = "/v1/leads"
    failure: Exception | None = None
    undelivered_s: float = 0.0

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def header_lines(self, run: str) -> list[tuple[str, str]]:
        wanted: dict[str, Any] = {
            "authorization": f"Bearer {PORTAL_KEY}",
            "content-type": "application/json",
            "idempotency-key": "key",
            **self.headers,
        }
        lines = [(name, value) for name, values in wanted.items() for value in _as_list(values)]
        return [(n, f"{run}{value}" if n == "idempotency-key" and value else value) for n, value in lines]


def _as_list(values: Any) -> list[str]:
    return values if isinstance(values, list) else [] if values is None else [values]


def lead(**changes: Any) -> dict[str, Any]:
    return {**LEAD, **changes}


def raw(text: str) -> bytes:
    """A valid lead with `text` in place of its note."""
    return json.dumps(lead(note="NOTE")).replace('"NOTE"', text).encode("utf-8", "surrogatepass")


TAKEN = [
    Case("valid", 202, fast=True),
    Case("media type with charset", 202, headers={"content-type": "application/json; charset=utf-8"}, fast=True),
    Case("media type with an empty parameter", 202, headers={"content-type": "application/json ;"}, fast=True),
    Case("unknown fields", 202, lead(agent={"full_name": 5}, x=[1, {"y": None}]), fast=True),
    Case("unknown headers", 202, headers={"x-request-id": "7", "accept": "text/html"}, fast=True),
    Case("query string", 202, path="/v1/leads?x=1", fast=True),
    Case("own trace", 202, headers={"traceparent": TRACE}, fast=True),
    Case("malformed trace", 202, headers={"traceparent": "zz"}, fast=True),
    Case("note", 202, lead(note="н" * 1000), fast=True),
    Case(
        "consent as a timestamp and a word",
        202,
        lead(consent={"given_at": 1761000000, "advertising": "yes"}),
        fast=True,
    ),
    Case("sealed client", 202, lead(client=encrypt_to(private(INTAKE_JWK), json.dumps(CLIENT).encode())), fast=True),
    Case("repeated JSON member", 202, raw('"x"').replace(b"{", b'{"partner_id": "boris", ', 1), fast=True),
    Case("escaped text", 202, raw(r'"\u043d \ud83d\ude00"'), fast=True),
    Case("white space around", 202, b" \r\n" + raw('"x"') + b"\n\t", fast=True),
    Case("lower-case scheme", 202, headers={"authorization": f"bearer {PORTAL_KEY}"}),
    Case("two spaces before the key", 202, headers={"authorization": f"Bearer  {PORTAL_KEY}"}),
    Case("upper-case media type", 202, headers={"content-type": "Application/JSON"}),
    Case("media type with a JSON suffix", 202, headers={"content-type": "application/vnd.portal+json"}),
    Case("repeated unknown header", 202, headers={"x-y": ["1", "2"]}),
    Case("repeated idempotency key", 202, headers={"idempotency-key": ["one", "two"]}),
    Case("repeated authorization", 202, headers={"authorization": [f"Bearer {PORTAL_KEY}", "Bearer trk_wrong"]}),
    Case("repeated media type", 202, headers={"content-type": ["application/json", "text/plain"]}),
    Case("UTF-16", 202, json.dumps(LEAD).encode("utf-16")),
    Case("byte order mark", 202, b"\xef\xbb\xbf" + raw('"x"')),
    Case("lone surrogate in an unknown field", 202, raw(r'"x", "y": "\ud800"')),
    Case("deep nesting in an unknown field", 202, raw('"x", "y": ' + "[" * 300 + "]" * 300)),
]
ACCESS = [
    Case("no key", 401, headers={"authorization": None}),
    Case("empty authorization", 401, headers={"authorization": ""}),
    Case("scheme without a key", 401, headers={"authorization": "Bearer"}),
    Case("other scheme", 401, headers={"authorization": f"Basic {PORTAL_KEY}"}),
    Case("unknown key", 401, headers={"authorization": "Bearer trk_wrong"}),
    Case("revoked key", 401, headers={"authorization": f"Bearer {REVOKED_KEY}"}),
    Case("wrong scope", 403, headers={"authorization": f"Bearer {PARTNERS_ONLY_KEY}"}),
    Case("unknown key and invalid body", 401, lead(partner_id=5), {"authorization": "Bearer trk_wrong"}),
    Case("unknown key and bad JSON", 422, b"{", {"authorization": "Bearer trk_wrong"}),
]
IDEMPOTENCY = [
    Case("no idempotency key", 400, headers={"idempotency-key": None}, fast=True),
    Case("empty idempotency key", 400, headers={"idempotency-key": ""}, fast=True),
    Case("long idempotency key", 400, headers={"idempotency-key": "x" * 256}, fast=True),
    Case("idempotency key with a space", 400, headers={"idempotency-key": "a b"}, fast=True),
    Case("no idempotency key and an invalid body", 422, lead(partner_id=""), {"idempotency-key": None}),
]
RULES = [
    Case("invalid phone", 422, lead(client={**CLIENT, "phone": "12"}), fast=True, code="invalid-phone"),
    Case("invalid name", 422, lead(client={**CLIENT, "full_name": " "}), fast=True, code="invalid-name"),
    Case("NUL in the name", 422, lead(client={**CLIENT, "full_name": "А\0Б"}), code="invalid-name"),
    Case("no consent", 422, {k: v for k, v in LEAD.items() if k != "consent"}, fast=True, code="no-consent"),
    Case("null consent", 422, lead(consent=None), fast=True, code="no-consent"),
    Case("unknown partner", 422, lead(partner_id="nobody"), fast=True, code="unknown-partner"),
    Case("suspended partner", 422, lead(partner_id="boris"), fast=True, code="partner-suspended"),
    Case("over the limit of reservations", 422, lead(partner_id="full"), fast=True, code="over-limit"),
    Case("over the quota", 429, lead(partner_id="busy"), fast=True, code="over-quota"),
    Case("client sealed to another key", 422, lead(client="a.b.c.d.e"), fast=True, code="does-not-open"),
    Case("client as a lone surrogate", 422, raw('"x"').replace(json.dumps(CLIENT).encode(), rb'"\ud800"')),
]
FAULTY: list[tuple[str, Callable[[Any], dict[str, Any]], list[Any]]] = [
    ("partner_id", lambda v: lead(partner_id=v), [None, 5, "", "x" * 65, "a b", "имя", [], {}]),
    ("client", lambda v: lead(client=v), [None, 5, True, [], {}, {"phone": "1"}, {"full_name": "А"}]),
    ("full_name", lambda v: lead(client={**CLIENT, "full_name": v}), [None, 5, "x" * 301, []]),
    ("phone", lambda v: lead(client={**CLIENT, "phone": v}), [None, 79165550123, "1" * 65, {}]),
    ("consent", lambda v: lead(consent=v), [5, "yes", [], {}, {"advertising": True}]),
    (
        "given_at",
        lambda v: lead(consent={"given_at": v}),
        [None, "", "yesterday", "2026-11-01", "2026-11-01T12:00:00", "2026-02-30T00:00:00Z", True, [], {}],
    ),
    ("advertising", lambda v: lead(consent={**CONSENT, "advertising": v}), [None, 2, 0.5, "да", [], {}]),
    ("note", lambda v: lead(note=v), [5, "x" * 1001, [], {}]),
]
VALIDATION = [
    *(
        Case(f"{name} as {json.dumps(value)[:20]}", 422, body(value))
        for name, body, values in FAULTY
        for value in values
    ),
    Case("no partner", 422, {k: v for k, v in LEAD.items() if k != "partner_id"}),
    Case("no client", 422, {k: v for k, v in LEAD.items() if k != "client"}),
    Case("several faulty fields", 422, lead(partner_id="", note=5, client={"phone": 1})),
    Case("NUL in the note", 422, lead(note="a\0b"), code="invalid-text"),
    Case("lone surrogate in the note", 422, raw(r'"\ud800"'), code="invalid-text"),
]
BODIES = [
    Case("empty body", 422, b""),
    Case("truncated JSON", 422, b'{"partner_id": "anna"'),
    Case("JSON with a trailing comma", 422, b'{"partner_id": "anna",}'),
    Case("text after the JSON", 422, raw('"x"') + b"x"),
    Case("NaN", 422, raw("NaN")),
    Case("JSON array", 422, [LEAD]),
    Case("JSON text", 422, "lead"),
    Case("JSON number", 422, 5),
    Case("JSON null", 422, None),
    Case("invalid UTF-8", 400, raw('"x"').replace(b'"x"', b'"\xff"')),
    Case("endless nesting", 400, b"[" * 30_000),
    Case("a number of 5000 digits", 400, raw("1" + "0" * 5000)),
    Case("body of 64 KiB", 202, raw('"x"').ljust(64 * 1024), fast=True),
    Case("body over 64 KiB", 413, raw('"x"').ljust(64 * 1024 + 1)),
    Case("false length", 413, headers={"content-length": "70000"}),
    Case("malformed length", 413, headers={"content-length": "-5"}),
]
MEDIA_TYPES = [
    Case(f"media type {value!r}", 422, headers={"content-type": value})
    for value in (
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/json-seq",
        "application/json garbage",
        "application/json, text/plain",
        "application/json/x",
    )
]
OUTAGES = [
    Case("events do not reach Kafka", 503, undelivered_s=601, fast=True, code="unavailable"),
    Case("lost connection", 503, failure=ConnectionResetError(), fast=True, code="unavailable"),
    Case("full disk", 503, failure=asyncpg.DiskFullError("disk full"), fast=True, code="unavailable"),
    Case("timeout", 503, failure=TimeoutError(), fast=True, code="unavailable"),
    Case("defect", 500, failure=ValueError("defect"), fast=True, code="internal"),
]
CASES = [*TAKEN, *ACCESS, *IDEMPOTENCY, *RULES, *VALIDATION, *BODIES, *MEDIA_TYPES, *OUTAGES]


class BothWays:
    """Two applications on one database: one with the fast path, one where FastAPI answers everything."""

    def __init__(self, database: Database, url: str) -> None:
        limits = {"leads_per_hour": PER_HOUR, "reserved_at_most": OPEN_AT_MOST, "leads_per_day": 0}
        settings = SETTINGS.model_copy(update={"database_url": SecretStr(url), **limits})
        self._service = build(settings)
        self._clock = Clock()
        self._failure: Exception | None = None
        self._undelivered_s = 0.0
        self._runs = itertools.count(1)
        self.calls_of_fastapi = 0
        runtime = Runtime(database, self._decide, self._clock, lambda: self._undelivered_s)
        api, submit = build_api(runtime, settings, DECODER)
        self._fast = _client(limit_body(self._counted(api), FastPath(api.state.keyring, submit)))
        self._api = _client(limit_body(api))

    def prepare(self, case: Case) -> str:
        """Set the outage of the case; returns a prefix for idempotency keys."""
        self._failure, self._undelivered_s, self.calls_of_fastapi = case.failure, case.undelivered_s, 0
        return f"run-{next(self._runs)}-"

    async def fast(self, case: Case, run: str) -> httpx.Response:
        return await self._fast.post(case.path, content=case.content(), headers=case.header_lines(run))

    async def fastapi(self, case: Case, run: str) -> httpx.Response:
        return await self._api.post(case.path, content=case.content(), headers=case.header_lines(run))

    async def close(self) -> None:
        await self._fast.aclose()
        await self._api.aclose()

    async def _decide(self, item: Input) -> Any:
        if self._failure is not None:
            raise self._failure
        return await decide_once(self._service, item, self._clock)

    def _counted(self, api: ASGIApp) -> ASGIApp:
        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self.calls_of_fastapi += 1
            await api(scope, receive, send)

        return counted


def _client(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://intake")


@pytest.fixture(scope="module")
async def both(module_database_factory: Callable[..., str]) -> AsyncIterator[BothWays]:
    url = migrated(module_database_factory)
    database = Database(url, name="test")
    await add_portal(database, "demo", ["leads"], PORTAL_KEY)
    await add_portal(database, "registrar", ["partners"], PARTNERS_ONLY_KEY)
    connection = await asyncpg.connect(url)
    await connection.execute(ROWS)
    await connection.close()
    both = BothWays(database, url)
    yield both
    await both.close()
    await database.close()


def content(response: httpx.Response) -> tuple[int, dict[str, str], Any]:
    return response.status_code, dict(response.headers), response.json()


def shape(response: httpx.Response) -> tuple[int, dict[str, str], Any]:
    """The response without the values that belong to one lead."""
    status, headers, body = content(response)
    if status == 202:
        headers |= {"location": "", "content-length": ""}
        body = sorted(body)
    return status, headers, body


def failures(log: Sequence[Any]) -> list[Any]:
    """The events by which the HTTP application reports a failure."""
    return [event for event in log if event["event"] in ("request_not_taken", "request_failed")]


@pytest.mark.infra
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_fast_path_and_fastapi_give_the_same_response(both: BothWays, case: Case) -> None:
    one, other = both.prepare(case), both.prepare(case)

    with capture_logs() as fast_log:
        fast_first = await both.fast(case, one)
    answered_by_fast_path = both.calls_of_fastapi == 0
    with capture_logs() as fastapi_log:
        fastapi_first = await both.fastapi(case, other)
    with capture_logs():
        repeated = [(await both.fast(case, run), await both.fastapi(case, run)) for run in (one, other)]

    assert fast_first.status_code == case.status, fast_first.text
    assert shape(fast_first) == shape(fastapi_first)
    for through_fast_path, through_fastapi in repeated:
        assert content(through_fast_path) == content(through_fastapi)
    assert failures(fast_log) == failures(fastapi_log)
    assert len(failures(fast_log)) == (case.failure is not None)
    assert case.code is None or fast_first.json()["code"] == case.code
    # A body over the limit reaches neither.
    assert answered_by_fast_path == (case.fast or case.status == 413)


@pytest.mark.infra
@pytest.mark.parametrize("taken_by", ["fast", "fastapi"])
async def test_other_content_under_one_key_is_a_conflict_both_ways(both: BothWays, taken_by: str) -> None:
    case, changed = Case("taken", 202), Case("changed", 409, lead(note="another"))
    run = both.prepare(case)
    first = await getattr(both, taken_by)(case, run)

    answers = [await both.fast(changed, run), await both.fastapi(changed, run)]

    assert first.status_code == 202
    assert content(answers[0]) == content(answers[1])
    assert (answers[0].status_code, answers[0].json()["code"]) == (409, "id-conflict")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
_times = st.sampled_from(["2026-11-01", "2026-11-01T12:00Z", "1761000000", "2026-11-01T12:00:00.1234567+03"])


@given(
    changes=st.dictionaries(st.sampled_from(["partner_id", "client", "consent", "note"]), _json, max_size=2),
    consent=st.dictionaries(st.sampled_from(["given_at", "advertising"]), _json | _times, max_size=2),
)
def test_body_that_the_fast_path_accepts_is_the_same_lead_to_fastapi(
    changes: dict[str, Any], consent: dict[str, Any]
) -> None:
    text = json.dumps({**LEAD, "consent": {**CONSENT, **consent}, **changes}).encode()
    try:
        fast = SubmitLead.model_validate_json(text)
    except ValidationError:
        return

    assert SubmitLead.model_validate(json.loads(text)) == fast
