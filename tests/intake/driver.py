"""The rules of intake without any I/O: builders of requests and events, and a state that rules are applied to."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chassis.decision import Cause, Decision
from contracts.portal import Agreement, Consent
from contracts.reservations import ReservationExpired, ReservationOpened
from contracts.verdicts import LeadRejected
from services.intake.domain.model import ClientState, Lead, Origin, PartnerRegistration, Submission, Taken
from services.intake.domain.projection import record_rejection, record_reservation
from services.intake.domain.submission import submit_lead

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CLIENT_KEY = "k1:" + "0" * 64
CAUSE = Cause("c", "correlation")
CONSENT = Consent(given_at=NOW)
AGREEMENT = Agreement(number="A-1", signed_on=date(2026, 1, 15))
STATE = ClientState(
    numbers=tuple(range(1, 100)),
    partner_statuses={"anna": "active", "boris": "suspended"},
    scopes={"demo": frozenset({"leads", "partners"}), "mute": frozenset({"partners"})},
)
"""The state of a client without leads: an active and a suspended partner, a portal with scopes and one without."""


class DomainDriver:
    """Keeps the state of one client and applies rules to it, at the time NOW unless a time is given."""

    def __init__(self, state: ClientState = STATE) -> None:
        self.state = state

    def submit(self, key: str = "r1", *, now: datetime = NOW, **changes: Any) -> Decision[ClientState]:
        """Submit a valid lead, changed as `submission` does."""
        return self._apply(submit_lead(self.state, submission(key, **changes), CAUSE, now))

    def take(self, **changes: Any) -> Lead:
        """Submit a lead that must be taken."""
        reply = self.submit(**changes).reply
        assert isinstance(reply, Taken)
        return reply.lead

    def record(self, lead: Lead, *names: str) -> Lead:
        """Record events about a lead, by name: `rejected`, `opened`, `expired`. Returns the lead after them."""
        for name in names:
            if name == "rejected":
                self._apply(record_rejection(self.state, rejected(lead, "known-to-builder"), CAUSE, NOW))
            else:
                event = opened(lead) if name == "opened" else expired(lead)
                self._apply(record_reservation(self.state, event, CAUSE, NOW))
        return self.state.leads[lead.lead_id]

    def _apply(self, decision: Decision[ClientState]) -> Decision[ClientState]:
        self.state = decision.state
        return decision


def submission(key: str = "r1", *, partner: str = "anna", over_http: bool = True, **changes: Any) -> Submission:
    origin = Origin(changes.pop("portal", "demo"), key, changes.pop("digest", "d"), "submit-lead.v1", over_http)
    return replace(Submission(origin, partner, CLIENT_KEY, "sealed", CONSENT), **changes)


def registration(key: str = "p1", *, over_http: bool = True, **changes: Any) -> PartnerRegistration:
    origin = Origin(changes.pop("portal", "demo"), key, changes.pop("content", "d"), "register-partner.v1", over_http)
    return replace(PartnerRegistration(origin, "anna", AGREEMENT, "active", "sealed", "person"), **changes)


def rejected(lead: Lead, reason: str) -> LeadRejected:
    return LeadRejected.model_validate(
        {**_base_fields(lead), "received_at": NOW, "rejected_at": NOW, "reason": reason, "evidence": None}
    )


def opened(lead: Lead) -> ReservationOpened:
    return ReservationOpened.model_validate({**_base_fields(lead), **_term()})


def expired(lead: Lead) -> ReservationExpired:
    term = _term()
    return ReservationExpired.model_validate({**_base_fields(lead), **term, "expired_at": term["reserved_until"]})


def _base_fields(lead: Lead) -> dict[str, Any]:
    return {
        "lead_id": lead.lead_id,
        "client_key": lead.client_key,
        "partner_id": lead.partner_id,
        "client": lead.client,
    }


def _term() -> dict[str, Any]:
    return {
        "reservation_id": "8f14e45f-ceea-4672-a5c2-6d3e0f1a2b3c",
        "confirmed_at": NOW + timedelta(minutes=1),
        "reserved_through": date(2027, 5, 24),
        "reserved_until": NOW + timedelta(days=181),
    }
