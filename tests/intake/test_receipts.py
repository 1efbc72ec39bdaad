"""A receipt proves the order of receipt: checked by the format in `receipts.py`, with another JOSE library."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OKPKey
from jwcrypto import jwk, jws

from contracts.person import Person, fold_name
from services.intake.domain.model import Lead
from services.intake.receipts import Receipt, ReceiptWriter

PRIVATE = OKPKey.generate_key("Ed25519", {"kid": "r1"})
PUBLISHED = json.dumps(PRIVATE.as_dict(private=False))
WRITER = ReceiptWriter(PRIVATE, b"s" * 32)
CLIENT = Person("Ветлугин Пётр", "+79165550123", "8 916 555-01-23")
LEAD = Lead(
    lead_id=UUID("3f2b8a1e-0c57-4d0e-9c62-0d5f0a1b2c3d"),
    number=42,
    portal="demo",
    partner_id="anna",
    client_key="k1:" + "0" * 64,
    client="sealed",
    received_at=datetime(2026, 11, 24, 12, 0, 0, 250_000, tzinfo=UTC),
)


def verified(receipt: Receipt, published: str = PUBLISHED) -> dict[str, object]:
    """The payload, if the signature verifies with the published key."""
    token = jws.JWS()
    token.allowed_algs = ["Ed25519"]
    token.deserialize(receipt.token, jwk.JWK.from_json(published))
    payload: dict[str, object] = json.loads(token.payload)
    return payload


def commitment(opening: str, phone: str, full_name: str) -> str:
    """The commitment as a third party computes it from salt, E.164 phone and folded name."""
    salt = base64.urlsafe_b64decode(opening + "=" * (-len(opening) % 4))
    digest = hashlib.sha256(salt + phone.encode() + fold_name(full_name).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_receipt_verifies_offline_and_holds_time_and_number() -> None:
    receipt = WRITER.write(LEAD, CLIENT)

    assert verified(receipt) == {
        "lead_id": str(LEAD.lead_id),
        "partner_id": "anna",
        "received_at": "2026-11-24T12:00:00.250000Z",
        "number": 42,
        "commitment": commitment(receipt.opening, "+79165550123", "ВЕТЛУГИН  Петр"),
    }


def test_receipt_names_the_key_that_verifies_it() -> None:
    header = json.loads(base64.urlsafe_b64decode(WRITER.write(LEAD, CLIENT).token.split(".")[0] + "=="))

    assert header == {"alg": "Ed25519", "kid": "r1"}


def test_receipt_holds_no_personal_data_and_fits_no_other_client() -> None:
    receipt = WRITER.write(LEAD, CLIENT)
    payload = json.dumps(verified(receipt), ensure_ascii=False)

    assert not any(text in payload for text in ("9165550123", "Ветлугин", "ветлугин"))
    assert commitment(receipt.opening, "+79165550124", CLIENT.full_name) not in payload
    assert commitment(receipt.opening, CLIENT.phone, "Ветлугин Павел") not in payload


def test_lead_has_the_same_receipt_each_time() -> None:
    assert WRITER.write(LEAD, CLIENT) == ReceiptWriter(PRIVATE, b"s" * 32).write(LEAD, CLIENT)


@given(st.uuids(), st.uuids())
def test_two_leads_of_one_client_have_unrelated_commitments(one: UUID, other: UUID) -> None:
    first, second = (verified(WRITER.write(replace(LEAD, lead_id=lead), CLIENT)) for lead in (one, other))

    assert (first["commitment"] == second["commitment"]) == (one == other)


def test_changed_receipt_or_foreign_signature_does_not_verify() -> None:
    receipt = WRITER.write(LEAD, CLIENT)
    head, payload, signature = receipt.token.split(".")
    forged = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) | {"number": 1}
    changed = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    foreign = json.dumps(OKPKey.generate_key("Ed25519", {"kid": "r1"}).as_dict(private=False))

    with pytest.raises(jws.InvalidJWSSignature):
        verified(Receipt(f"{head}.{changed}.{signature}", receipt.opening))
    with pytest.raises(jws.InvalidJWSSignature):
        verified(receipt, foreign)
