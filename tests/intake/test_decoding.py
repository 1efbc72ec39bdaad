"""Requests of portals become inputs of rules, without I/O; a record that cannot be decoded is poison."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from unicodedata import category
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chassis.service import Input, Poison
from contracts.sealing import encrypt_to
from services.intake.decoding import RequestDecoder, incoming_trace
from services.intake.domain.model import FaultyRequest, PartnerRegistration, Submission
from tests.contracts.keys import INTAKE_JWK, private
from tests.intake.in_process import DECODER, SETTINGS

CLIENT = {"full_name": "  ветлугин   Пётр ", "phone": "8 (916) 555-01-23"}
LEAD = {"partner_id": "anna", "client": CLIENT, "consent": {"given_at": "2026-11-01T12:00:00Z"}}
PARTNER = {
    "partner_id": "boris",
    "full_name": "Заречный Борис",
    "phone": "+79165550199",
    "agreement": {"number": "B-1", "signed_on": "2026-02-01"},
}
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@dataclass(frozen=True)
class Sent:
    """A Kafka record as the consumer passes it to the decoder."""

    value: bytes | None
    topic: str = "portal-requests.demo"
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)


STRICT = RequestDecoder(SETTINGS.model_copy(update={"accept_plain_clients": False}))


def decoded(body: Any, *, by: RequestDecoder = DECODER, topic: str = "portal-requests.demo", **headers: str) -> Input:
    value = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read(value, headers, by=by, topic=topic)


def read(
    value: bytes, headers: dict[str, str], *, by: RequestDecoder = DECODER, topic: str = "portal-requests.demo"
) -> Input:
    return by.decode(Sent(value, topic), {"ce_id": "r1", "ce_type": "submit-lead.v1", **headers})


def sealed(client: dict[str, str]) -> str:
    return encrypt_to(private(INTAKE_JWK), json.dumps(client).encode())


def submission(item: Input) -> Submission:
    assert isinstance(item.body, Submission)
    return item.body


def test_topic_determines_the_portal_of_a_request_whatever_the_headers_hold() -> None:
    item = decoded(LEAD, topic="portal-requests.north.west", ce_source="/portals/demo")

    assert submission(item).origin.portal == "north.west"


def test_one_client_has_one_key_however_the_phone_is_typed() -> None:
    keys = {
        decoded({**LEAD, "client": {**CLIENT, "phone": phone}}).key
        for phone in ("8 (916) 555-01-23", "+7 916 555 01 23", "9165550123")
    }

    assert len(keys) == 1
    assert keys.pop().startswith("k1:")


def test_request_with_its_client_sealed_anew_is_the_same_request() -> None:
    first, again = (decoded({**LEAD, "client": sealed(CLIENT)}) for _ in range(2))

    assert submission(first).origin == submission(again).origin
    assert first.cause == again.cause


@pytest.mark.parametrize(
    "change",
    [
        {"partner_id": "boris"},
        {"note": "другое"},
        {"consent": {"given_at": "2026-11-01T12:00:00Z", "advertising": True}},
        {"client": {**CLIENT, "phone": "8 (916) 555-01-24"}},
    ],
)
def test_other_content_has_another_digest(change: dict[str, Any]) -> None:
    assert submission(decoded({**LEAD, **change})).origin.digest != submission(decoded(LEAD)).origin.digest


def test_return_that_is_meant_again_is_another_request_and_says_so() -> None:
    body = {"partner_id": "anna", "client": CLIENT, "manager": "manager-3", "reason": "ждёт ипотеку"}
    plain, unset, again = (
        decoded({**body, **more}, ce_type="return-lead.v1").body for more in ({}, {"again": False}, {"again": True})
    )

    assert (plain.again, unset.again, again.again) == (False, False, True)
    assert plain.origin.digest == unset.origin.digest != again.origin.digest
    # The digest of the version that had no `again`: a request that it took is recognised when it is repeated.
    content = {"partner_id": "anna", "client": [CLIENT["full_name"], CLIENT["phone"]]}
    content |= {"manager": "manager-3", "reason": "ждёт ипотеку"}
    assert plain.origin.digest == DECODER._digest([content])


def test_decoded_request_holds_nothing_readable_about_the_client() -> None:
    shown = repr(decoded(LEAD)) + repr(decoded(PARTNER, ce_type="register-partner.v1"))

    assert not any(text in shown for text in ("9165550123", "555-01-23", "етлугин", "9165550199", "Заречный"))


def test_invalid_phone_is_a_refusal_and_not_poison() -> None:
    assert submission(decoded({**LEAD, "client": {**CLIENT, "phone": "12"}})).refusal == "invalid-phone"


def test_sealed_client_is_decoded_where_plain_clients_are_not_allowed() -> None:
    assert submission(decoded({**LEAD, "client": sealed(CLIENT)}, by=STRICT)).refusal is None
    with pytest.raises(Poison, match="plain-client"):
        decoded(LEAD, by=STRICT)
    with pytest.raises(Poison, match="plain-client"):
        decoded(PARTNER, by=STRICT, ce_type="register-partner.v1")


@pytest.mark.parametrize("name", ["", "a\0b", "with space", "имя", "x" * 256, "line\n"])
def test_malformed_request_id_is_poison(name: str) -> None:
    with pytest.raises(Poison, match="no-envelope"):
        decoded(LEAD, ce_id=name)


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (LEAD, "submit-lead.v2", "unknown-type"),
        (b"not json", "submit-lead.v1", "invalid"),
        (b"", "submit-lead.v1", "invalid"),
        ({"partner_id": "anna"}, "submit-lead.v1", "invalid"),
        ({**LEAD, "client": "a.b.c"}, "submit-lead.v1", "does-not-open"),
        ({**LEAD, "client": sealed({"phone": "1"})}, "submit-lead.v1", "does-not-open"),
        ({**PARTNER, "phone": None}, "register-partner.v1", "invalid"),
    ],
)
def test_record_that_cannot_be_decoded_is_poison_with_its_reason(body: Any, kind: str, reason: str) -> None:
    with pytest.raises(Poison, match=reason):
        decoded(body, ce_type=kind)


RETURN = {"partner_id": "anna", "client": CLIENT, "manager": "m", "reason": "r"}
AGREEMENT = {"number": "A\x00", "signed_on": "2026-02-01"}


@pytest.mark.parametrize(
    ("body", "kind", "code", "field"),
    [
        ({**RETURN, "reason": "a\x00b"}, "return-lead.v1", "invalid-text", "reason"),
        ({**RETURN, "reason": "a\ud800"}, "return-lead.v1", "invalid-text", "reason"),
        ({**RETURN, "manager": "a\nb"}, "return-lead.v1", "invalid-text", "manager"),
        ({**RETURN, "client": {**CLIENT, "full_name": "А\x00"}}, "return-lead.v1", "invalid-name", "client.full_name"),
        ({**LEAD, "note": "a\x7f"}, "submit-lead.v1", "invalid-text", "note"),
        ({**LEAD, "partner_id": "\udfff"}, "submit-lead.v1", "invalid-text", "partner_id"),
        ({**LEAD, "client": sealed({**CLIENT, "phone": "8\x00"})}, "submit-lead.v1", "invalid-phone", "client.phone"),
        (
            {**LEAD, "client": sealed({**CLIENT, "full_name": "\ud800"})},
            "submit-lead.v1",
            "invalid-name",
            "client.full_name",
        ),
        ({**PARTNER, "agreement": AGREEMENT}, "register-partner.v1", "invalid-text", "agreement.number"),
        ({**PARTNER, "full_name": "А\x07"}, "register-partner.v1", "invalid-name", "full_name"),
    ],
)
def test_a_text_with_forbidden_characters_is_a_refusal_and_not_poison(
    body: Any, kind: str, code: str, field: str
) -> None:
    item = decoded(body, ce_type=kind)

    assert isinstance(item.body, FaultyRequest)
    assert (item.body.refusal, item.body.field) == (code, field)
    assert item.key == "request:demo/r1"
    assert decoded(body, ce_type=kind).body == item.body


def test_a_surrogate_in_a_field_that_nobody_reads_is_ignored() -> None:
    assert submission(decoded({**LEAD, "else": "\ud800"})).refusal is None


@given(reason=st.text(st.characters(), max_size=40), manager=st.text(st.characters(), max_size=40))
def test_any_text_is_refused_with_a_code_or_taken_as_it_is(reason: str, manager: str) -> None:
    # Two surrogates may have become one character.
    reason, manager = json.loads(json.dumps([reason, manager]))
    try:
        body = decoded({**RETURN, "reason": reason, "manager": manager}, ce_type="return-lead.v1").body
    except Poison:
        is_empty = not (reason.strip() and manager.strip())
        assume(not is_empty)
        raise

    if isinstance(body, FaultyRequest):
        assert body.refusal == "invalid-text"
        assert any(category(one) in ("Cc", "Cs") for one in reason + manager)
    else:
        assert (body.reason, body.manager) == (reason.strip(), manager.strip())
        assert all(category(one) not in ("Cc", "Cs") or one == "\n" for one in reason + manager)


@given(value=st.binary(max_size=200), headers=st.dictionaries(st.sampled_from(["ce_id", "ce_type"]), st.text()))
def test_arbitrary_bytes_are_poison(value: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(Poison):
        read(value, headers)


@given(
    change=st.dictionaries(
        st.sampled_from(["partner_id", "client", "consent", "note", "agreement", "person", "full_name", "phone"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
            max_leaves=6,
        ),
    ),
    kind=st.sampled_from(["submit-lead.v1", "register-partner.v1"]),
)
def test_misshapen_request_is_decoded_or_poison_and_raises_nothing_else(change: dict[str, Any], kind: str) -> None:
    try:
        item = decoded({**(LEAD if kind == "submit-lead.v1" else PARTNER), **change}, ce_type=kind)
    except Poison:
        return

    assert isinstance(item.body, Submission | PartnerRegistration | FaultyRequest)
    assert "\\x00" not in repr(item.body)


def test_trace_and_correlation_of_a_portal_are_kept_only_if_well_formed() -> None:
    assert incoming_trace("order-17", TRACE).correlation == "order-17"
    assert incoming_trace(None, TRACE).traceparent == TRACE
    # A header of any length would make an event that Kafka refuses, and block the events behind it in the outbox.
    assert incoming_trace("x" * 700_000, "00-" + "x" * 700_000) == incoming_trace(None, None)
    assert incoming_trace("a\0b", f"{'0' * 9000}-{'a' * 32}-{'b' * 16}-01") == incoming_trace(None, None)


def test_request_without_a_valid_correlation_gets_its_own() -> None:
    item = decoded(LEAD, ce_correlationid="x" * 256)

    assert item.cause.correlation == item.cause.id


SETTLEMENT = {"claim_id": str(UUID(int=1)), "decision": "decline", "reason": "нет сделки", "decided_by": "vera"}
SINCE = "2026-11-01T12:00:00+00:00"


@pytest.mark.parametrize(("kind", "body"), [("register-partner.v1", PARTNER), ("settle-reward.v1", SETTLEMENT)])
def test_replay_holds_the_time_at_which_its_record_was_first_read(kind: str, body: dict[str, Any]) -> None:
    def first_read(replay: str | None = None, since: str | None = None) -> datetime | None:
        marks = {"replay": replay, "replay-since": since}
        headers = {"ce_type": kind, **{name: mark for name, mark in marks.items() if mark is not None}}
        read_at: datetime | None = read(json.dumps(body).encode(), headers).body.first_read_at
        return read_at

    assert first_read("intake 00000000-0000-4000-8000-000000000000", SINCE) == datetime.fromisoformat(SINCE)
    # Later records of its batch overtook a record that was not parked.
    not_parked = first_read("intake", SINCE)
    assert not_parked is not None
    assert not_parked < datetime.fromisoformat(SINCE)
    assert first_read() is None
    assert first_read("intake") is None
    assert first_read(None, SINCE) is None
    assert first_read("intake", "yesterday") is None
    assert first_read("intake", "2026-11-01T12:00:00") is None
