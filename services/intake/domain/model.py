"""Requests that portals send, leads, and the states that the rules of intake read and return."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from chassis.decision import derived_id
from contracts.portal import Agreement, Consent
from services.intake.domain.quota import QuotaUsage

Scope = Literal["leads", "partners", "returns", "rewards"]
LeadStatus = Literal["under-review", "confirmed", "rejected", "expired", "won", "withdrawn"]
RequestKey = tuple[str, str]
"""Portal name and the id that the portal chose for the request."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Which portal sent a request, under which id, and with what content.

    `key` is the id that the portal chose. `digest` is a keyed hash of the content, in hex. `kind` is the CloudEvents
    type, for example `submit-lead.v1`. `over_http`: an HTTP client waits for the reply. A refusal over HTTP is not
    recorded, so the portal may send the same request again; a refusal of a record on the portal's topic is recorded.
    The database does not store `over_http`: it is true for every origin read from there.
    """

    portal: str
    key: str
    digest: str
    kind: str
    over_http: bool

    @property
    def request_id(self) -> UUID:
        return derived_id(f"{self.portal}/{self.key}", "request")

    @property
    def lead_id(self) -> UUID:
        return derived_id(f"{self.portal}/{self.key}", "lead")


@dataclass(frozen=True, slots=True)
class Submission:
    """A portal submits a client for a partner.

    `client` is the sealed client. `refusal` is the code of a refusal that follows from the content alone, such as
    `invalid-phone`; `client_key` and `client` are empty then.
    """

    origin: Origin
    partner_id: str
    client_key: str = ""
    client: str = ""
    consent: Consent | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class PartnerRegistration:
    """A portal registers a partner or changes one.

    `person` is the sealed person, `digest` a keyed hash of the person's name and phone, in hex. `refusal` is the code
    of a refusal that follows from the content alone; `person` and `digest` are empty then. `first_read_at`: when the
    record was read and became a dead letter; None for a request that is no replay.
    """

    origin: Origin
    partner_id: str
    agreement: Agreement
    status: Literal["active", "suspended"]
    person: str = ""
    digest: str = ""
    refusal: str | None = None
    first_read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FaultyRequest:
    """A request on a portal's topic with a text that holds forbidden characters, so it is no valid request of its kind.

    `refusal` is the code of the refusal, `field` the path of the text in the request.
    """

    origin: Origin
    refusal: str
    field: str


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that intake took or refused earlier.

    With a `reason` the request was refused. With `done_at` its effect has happened. With neither it is pending.
    `result` holds facts for the portal, for example `{"reserved_through": "2027-05-24"}`.
    """

    origin: Origin
    reason: str | None = None
    lead_id: UUID | None = None
    done_at: datetime | None = None
    result: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead as its portal sees it: recorded facts, from which the status follows in whatever order they arrived.

    `client` is the sealed client, None once the personal data is erased. `reservation_events` are the events of the
    lead's reservation as (ISO 8601 time, name, detail), oldest first. `history_count` is the highest history count of
    the recorded reservation events, -1 before the first: an event with a lower count is older and does not change the
    status.
    """

    lead_id: UUID
    number: int
    portal: str
    partner_id: str
    client_key: str
    client: str | None
    received_at: datetime
    rejected_at: datetime | None = None
    reason: str | None = None
    confirmed_at: datetime | None = None
    reserved_through: date | None = None
    reserved_until: datetime | None = None
    expired_at: datetime | None = None
    closed_at: datetime | None = None
    closed_as: Literal["won", "withdrawn"] | None = None
    reservation_events: tuple[tuple[str, str, str | None], ...] = ()
    history_count: int = -1

    @property
    def status(self) -> LeadStatus:
        if self.closed_as is not None:
            return self.closed_as
        if self.expired_at is not None:
            return "expired"
        if self.reserved_until is not None:
            return "confirmed"
        return "under-review" if self.rejected_at is None else "rejected"

    @property
    def public_reason(self) -> str | None:
        """The reason of a rejection as a realtor may see it; the true reason would make the check an oracle."""
        if self.reason is None:
            return None
        return "already-yours" if self.reason == "already-yours" else "client-taken"

    def history(self) -> list[tuple[datetime, str, str | None]]:
        """The lead's events as (time, name, detail): receipt, rejection, then the reservation's events, oldest first.

        The detail is a public reason for `rejected`, an ISO date for most reservation events, else None.
        """
        entries: list[tuple[datetime, str, str | None]] = [(self.received_at, "received", None)]
        if self.rejected_at is not None:
            entries.append((self.rejected_at, "rejected", self.public_reason))
        entries.extend((datetime.fromisoformat(at), name, detail) for at, name, detail in self.reservation_events)
        return entries


@dataclass(frozen=True, slots=True)
class ClientState:
    """What the rules about one client read.

    The key is the client key; for a request that names only a lead or a claim the key is derived from that id.
    `numbers` and `quota_usages` hold one item for each submission of the batch at hand, in order of receipt; a rule
    takes the first item and returns the state without it. `partner_statuses` maps partner ids to `active` or
    `suspended`. `scopes` maps portals with a working key to what they may do.
    """

    leads: Mapping[UUID, Lead] = field(default_factory=dict)
    last_received_at: datetime | None = None
    numbers: tuple[int, ...] = ()
    quota_usages: tuple[QuotaUsage, ...] = ()
    partner_statuses: Mapping[str, str] = field(default_factory=dict)
    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    requests: Mapping[RequestKey, RecordedRequest] = field(default_factory=dict)

    def with_lead(self, lead: Lead) -> "ClientState":
        return replace(self, leads={**self.leads, lead.lead_id: lead})

    def with_request(self, request: RecordedRequest) -> "ClientState":
        return replace(self, requests={**self.requests, (request.origin.portal, request.origin.key): request})

    def request_by_id(self, request_id: UUID) -> RecordedRequest | None:
        return next((request for request in self.requests.values() if request.origin.request_id == request_id), None)


@dataclass(frozen=True, slots=True)
class PartnerState:
    """What the rule about one partner reads: its newest registration, portals' scopes, recorded requests.

    `registered_at`: when the newest registration was first read; None for one that an earlier version recorded.
    """

    partner: PartnerRegistration | None = None
    scopes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    requests: Mapping[RequestKey, RecordedRequest] = field(default_factory=dict)
    registered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """Reply: the lead is recorded. `replayed`: an earlier request with the same id recorded it."""

    lead: Lead
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """Reply: the partner's record equals the registration. `created`: there was no record before."""

    created: bool


@dataclass(frozen=True, slots=True)
class Accepted:
    """Reply: a request about a lead is recorded and published. A reward claim has the id of its request.

    `replayed`: an earlier request with the same id was accepted.
    """

    request_id: UUID
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Reply: nothing changed. `reason` is a published code; `retry_at` is set where the refusal ends by itself."""

    reason: str
    retry_at: datetime | None = None
