"""Opening sealed clients and partners for one call to 1C. Names and phones in clear exist only in memory."""

import hmac
from collections.abc import Mapping
from typing import Final

import structlog

from chassis.service import Job, Retry
from contracts.partners import Partner
from contracts.person import Person, client_key
from contracts.sealing import Sealer, Unsealable
from services.onec_gateway.onec.phones import last_digits

log = structlog.get_logger(__name__)

# A person must change the gateway's keys. Until then the work row waits and nothing is decided.
WRONG_KEYS_PAUSE_S: Final = 60.0


class Unsealer:
    """Opens what is sealed with the gateway's keys, and checks that a client's phone belongs to its client key.

    `key_secret` is the secret from which client keys are derived.
    """

    def __init__(self, sealer: Sealer, key_secret: bytes) -> None:
        self._sealer = sealer
        self._key_secret = key_secret

    def key_of(self, phone: str) -> str:
        """The client key of an E.164 phone."""
        return client_key(self._key_secret, phone)

    def keys_of(self, phone: str) -> tuple[str, str]:
        """The keys under which a card may have an E.164 phone: of the whole number, and of its last digits."""
        return self.key_of(phone), self.key_of(last_digits(phone))

    def phone_key(self, partner: Partner) -> str | None:
        """The client key of a partner's phone; None if the gateway has no key that opens the partner."""
        person = self._open_partner(partner)
        return self.key_of(person.phone) if person is not None else None

    def client(self, job: Job) -> Person | Retry:
        """The client of a work row, or a Retry if the gateway's keys are wrong."""
        try:
            client = self._sealer.open(job.payload["client"], lead_of(job))
        except Unsealable:
            log.error("client_unsealable", lead_id=lead_of(job), message="Проверьте ONEC_SEALING_KEYS")
            return Retry("unsealable", no_effect=True, after_s=WRONG_KEYS_PAUSE_S)
        if not hmac.compare_digest(self.key_of(client.phone), job.key):
            # If the secret differs from intake's, holds would be granted under the wrong keys.
            log.error("client_key_mismatch", lead_id=lead_of(job), message="Проверьте ONEC_CLIENT_KEY_SECRET")
            return Retry("client-key-mismatch", no_effect=True, after_s=WRONG_KEYS_PAUSE_S)
        return client

    def phone_of(self, client: str, lead_id: str) -> str:
        """The phone (E.164) of a client that is sealed for a lead. Raises Unsealable."""
        return self._sealer.open(client, lead_id).phone

    def partner(self, job: Job, partners: Mapping[str, Partner]) -> Person | Retry:
        """The partner of a work row, or a Retry if it is not among `partners` or the gateway's keys are wrong."""
        partner = partners.get(job.payload["partner_id"])
        if partner is None:
            # Kafka keeps no order between topics: the partner's record may arrive later than the reservation's.
            return Retry("partner-not-known-yet", no_effect=True)
        person = self._open_partner(partner)
        return person if person is not None else Retry("unsealable", no_effect=True, after_s=WRONG_KEYS_PAUSE_S)

    def _open_partner(self, partner: Partner) -> Person | None:
        try:
            return self._sealer.open(partner.person, partner.partner_id)
        except Unsealable:
            log.error("partner_unsealable", partner_id=partner.partner_id, message="Проверьте ONEC_SEALING_KEYS")
            return None


def lead_of(job: Job) -> str:
    """The id of the lead that a work row is about."""
    return str(job.payload.get("lead_id", job.ref))
