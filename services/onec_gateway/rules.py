"""The rules by which a lead is decided, in their order, as data."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import isodate

from contracts.base import RejectionReason
from services.onec_gateway.facts import Client, Lead, Term, Verdict


@dataclass(frozen=True, slots=True)
class Policy:
    """The builder's rules. `skew`: enquiries dated this near to a lead's receipt are a person's to decide.
    `enquiry_age`: an enquiry that is older blocks nobody; None: it blocks for ever."""

    skew: timedelta = timedelta(0)
    enquiry_age: isodate.Duration | timedelta | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule applies: the lead or the 1C reference it rests on, or (`by_people`) that nobody but people can tell."""

    evidence: str | None = None
    by_people: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """`asks`: it needs 1C's answer. The first rule that finds something decides; if none does, the lead is free."""

    name: str
    reason: RejectionReason
    find: Callable[[Client, Lead, Policy], Finding | None]
    asks: bool = False


def unsettled(client: Client, lead: Lead) -> bool:
    """A hold is live until its end was seen, whatever the clock says: an extension may be on its way."""
    hold = client.hold
    if hold is None or lead.ruling is not None or lead.received_at <= hold.confirmed_at:
        return False
    term = client.terms.get(hold.lead_id)
    return term is None or (term.ended_at is None and lead.received_at >= term.until)


def verdict_on(client: Client, lead: Lead, now: datetime, policy: Policy) -> tuple[Verdict | None, bool]:
    """By the ordered rules, as of the lead's `received_at`; or None, and whether 1C must be asked."""
    if lead.ruling is not None:
        reason: RejectionReason | None = None if lead.ruling.confirmed else "known-to-builder"
        return Verdict(now, reason, None, "ruling"), False
    for rule in RULES:
        if rule.asks and lead.checked_at is None:
            if (own := client.terms.get(lead.lead_id)) is not None:
                # It has a reservation, so it was confirmed before: after a restore the same is said again.
                return Verdict(own.confirmed_at, rule=FREE), False
            return None, True
        finding = rule.find(client, lead, policy)
        if finding is not None:
            return (None if finding.by_people else Verdict(now, rule.reason, finding.evidence, rule.name)), False
    return Verdict(now, rule=FREE), False


def _own_hold(client: Client, lead: Lead, _: Policy) -> Finding | None:
    holder = _holder(client, lead)
    return Finding(str(holder[0])) if holder is not None and holder[1] == lead.partner_id else None


def _others_hold(client: Client, lead: Lead, _: Policy) -> Finding | None:
    holder = _holder(client, lead)
    return Finding(str(holder[0])) if holder is not None else None


def _holder(client: Client, lead: Lead) -> tuple[UUID, str] | None:
    """The lead, and its partner, that had the client when `lead` was received."""
    hold = client.hold
    # A racing lead was received before the hold was granted: whatever the term, it is covered.
    if hold is not None and (
        lead.received_at <= hold.confirmed_at or _covers(client.terms.get(hold.lead_id), lead.received_at)
    ):
        return hold.lead_id, hold.partner_id
    for other in client.leads.values():
        term = client.terms.get(other.lead_id)
        if (
            term is not None
            and term.ended_as == "withdrawn"
            and other.lead_id != lead.lead_id
            and (other.received_at, other.number) < (lead.received_at, lead.number)
            and _covers(term, lead.received_at)
        ):
            return other.lead_id, other.partner_id
    return None


def _covers(term: Term | None, moment: datetime) -> bool:
    if term is None:
        return False
    over_early = term.ended_as in ("won", "withdrawn") and term.ended_at is not None
    return moment < (term.ended_at if over_early and term.ended_at is not None else term.until)


def _handed_over(client: Client, lead: Lead, policy: Policy) -> Finding | None:
    term = client.terms.get(client.hold.lead_id) if client.hold is not None else None
    if term is None or term.ended_at is None or term.ended_as != "expired":
        return None
    return None if _is_dead(term.ended_at, lead, policy) else Finding(str(term.lead_id))


def _won(client: Client, _: Lead, __: Policy) -> Finding | None:
    term = client.terms.get(client.hold.lead_id) if client.hold is not None else None
    return Finding(str(term.lead_id)) if term is not None and term.ended_as == "won" else None


def _known(_: Client, lead: Lead, policy: Policy) -> Finding | None:
    """Dated at or before the receipt; so near to it that clocks may differ, people decide."""
    blocking = [one for one in lead.enquiries if not _is_dead(one.date, lead, policy)]
    if before := [one for one in blocking if one.date <= lead.received_at - policy.skew]:
        return Finding(min(before, key=lambda one: (one.date, one.ref)).ref)
    near = any(one.date <= lead.received_at + policy.skew for one in blocking)
    return Finding(by_people=True) if near else None


def _insider(client: Client, _: Lead, __: Policy) -> Finding | None:
    return Finding(client.insider) if client.insider is not None else None


def _sold(client: Client, lead: Lead, _: Policy) -> Finding | None:
    sold = {sale.ref for sale in lead.sales if not sale.cancelled}
    sold |= {deal.sale.ref for deal in client.deals.values() if deal.cancelled_at is None}
    return Finding(min(sold)) if sold else None


FREE: Final = "free"
RULES: Final = (
    Rule("own-hold", "already-yours", _own_hold),
    Rule("others-hold", "held-by-partner", _others_hold),
    Rule("handed-over", "known-to-builder", _handed_over),
    Rule("won", "already-sold", _won),
    Rule("enquiry", "known-to-builder", _known, asks=True),
    Rule("insider", "not-a-client", _insider, asks=True),
    Rule("sale", "already-sold", _sold, asks=True),
)


def _is_dead(since: datetime, lead: Lead, policy: Policy) -> bool:
    return policy.enquiry_age is not None and since + policy.enquiry_age <= lead.received_at
