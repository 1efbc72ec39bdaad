"""Receipts: a realtor's proof of having been first. A receipt verifies offline and holds no personal data.

A receipt is a compact JWS (`Ed25519`, `kid` in `/.well-known/jwks.json`) of the JSON object
`{"lead_id", "partner_id", "received_at", "number", "commitment"}`. `commitment` is the unpadded base64url text of
SHA-256 over three byte strings put together: the salt (16 bytes), the client's E.164 phone in ASCII, and the client's
folded name in UTF-8 (see `contracts.person.fold_name`). `receipt_opening` is the salt as unpadded base64url: with the
salt the realtor can show which client the receipt is about; without it nobody can find out.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

import orjson
from joserfc import jws
from joserfc.jwk import OKPKey

from contracts.person import Person, fold_name
from services.intake.domain.model import Lead

ALGORITHM = "Ed25519"
SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Receipt:
    """`token` is the compact JWS, `opening` the salt as unpadded base64url."""

    token: str
    opening: str


class ReceiptWriter:
    """Signs receipts with `key`.

    The salt is derived from `secret` and the lead id, so a lead has the same receipt each time.
    """

    def __init__(self, key: OKPKey, secret: bytes) -> None:
        self._key = key
        self._secret = secret
        self._header = {"alg": ALGORITHM, "kid": key.kid}

    def write(self, lead: Lead, client: Person) -> Receipt:
        """Sign the receipt of a lead and return it. It commits to `client`, the person as decoded, and names nobody."""
        salt = self._salt(lead.lead_id)
        digest = hashlib.sha256(salt + client.phone.encode() + fold_name(client.full_name).encode()).digest()
        payload = orjson.dumps(
            {
                "lead_id": str(lead.lead_id),
                "partner_id": lead.partner_id,
                "received_at": lead.received_at.isoformat().replace("+00:00", "Z"),
                "number": lead.number,
                "commitment": _base64url(digest),
            }
        )
        return Receipt(
            jws.serialize_compact(self._header, payload, self._key, algorithms=[ALGORITHM]), _base64url(salt)
        )

    def _salt(self, lead_id: UUID) -> bytes:
        return hmac.digest(self._secret, b"receipt\n" + lead_id.bytes, hashlib.sha256)[:SALT_BYTES]


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
