"""The rules that decide a lead, in their order, as data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final
from uuid import UUID

from contracts.base import RejectionReason
from services.onec_gateway.domain.card_rules import (
    cleared,
    counting,
    has_earlier,
    held_by_others,
    held_on_cards,
    is_loaded,
)
from services.onec_gateway.domain.cards import Order
from services.onec_gateway.domain.model import ClientState, Lead, Policy, Verdict
from services.onec_gateway.domain.reservations import KnownReservation


class Pending(Enum):
    """Why a lead cannot be decided yet: the check in 1C has no result, only a person may decide, the facts of other
    clients on its cards are not at hand, one of them has an earlier lead, or not all cards were read yet."""

    CHECK = "check"
    RULING = "ruling"
    RELATED = "related"
    EARLIER = "earlier"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule applies to a lead. `evidence` is the id of the lead or the 1C reference on which it rests.

    `question`: the facts do not show whether the rule applies, and a person must decide whether these 1C references
    block the lead; empty if the facts suffice. `waits`: the rule cannot be applied yet.
    """

    evidence: str | None = None
    question: tuple[str, ...] = ()
    waits: Pending | None = None


@dataclass(frozen=True, slots=True)
class VerdictRule:
    """A reason to reject a lead. The first rule that returns a finding decides; if none does, the lead is confirmed.

    `needs_check`: the rule reads the result of the check in 1C.
    """

    name: str
    reason: RejectionReason
    find: Callable[[ClientState, Lead, Policy], Finding | None]
    needs_check: bool = False


def must_wait_for_reservations(client: ClientState, lead: Lead) -> bool:
    """Whether the verdict depends on an event of the reservations service that has not arrived.

    A hold is live until its end arrives, whatever the clock shows: an extension may be on its way.
    """
    hold = client.hold
    if hold is None or lead.received_at <= hold.confirmed_at:
        return False
    reservation = client.reservations.get(hold.lead_id)
    return reservation is None or (reservation.ended_at is None and lead.received_at >= reservation.reserved_until)


def verdict_on(client: ClientState, lead: Lead, now: datetime, policy: Policy) -> Verdict | Pending:
    """The verdict by the ordered rules, as of the lead's `received_at`; or what it still needs.

    A ruling answers the questions of the findings that it is about, and overrides no rule that the facts decide.
    """
    confirmed = Verdict(now, rule=FREE)
    for rule in RULES:
        if rule.needs_check and lead.checked_at is None:
            if (own := client.reservations.get(lead.lead_id)) is not None:
                # The lead has a reservation, so it was confirmed before this database was restored from a backup:
                # the same verdict is published again.
                return Verdict(own.confirmed_at, rule=FREE)
            return Pending.CHECK
        finding = rule.find(client, lead, policy)
        if finding is None:
            continue
        if finding.waits is not None:
            return finding.waits
        if not finding.question:
            return Verdict(now, rule.reason, finding.evidence, rule.name)
        if lead.ruling is None or not set(finding.question) <= set(lead.ruling.about):
            return Pending.RULING
        if not lead.ruling.confirmed:
            return Verdict(now, rule.reason, finding.evidence, RULING)
        confirmed = Verdict(now, None, finding.evidence, RULING)
    return confirmed


def questions(client: ClientState, lead: Lead, policy: Policy) -> tuple[str, ...]:
    """The 1C references about which the lead waits for a person; empty if it waits for none.

    The lead must be the head of its client's queue. An answer that comes without the facts of the other clients on the
    lead's cards is about all that the lead may wait for.
    """
    if not is_loaded(client, lead):
        by_people = lead.waits_for in ("people", "same-card")
        near = _known_to_builder(client, lead, policy)
        return (*(near.question if near is not None else ()), *(card.ref for card in lead.cards)) if by_people else ()
    if must_wait_for_reservations(client, lead) or verdict_on(client, lead, lead.received_at, policy) != Pending.RULING:
        return ()
    findings = [rule.find(client, lead, policy) for rule in RULES]
    return tuple(ref for finding in findings if finding is not None for ref in finding.question)


def _own_hold(client: ClientState, lead: Lead, _: Policy) -> Finding | None:
    holder = _holder_at_receipt(client, lead)
    return Finding(str(holder[0])) if holder is not None and holder[1] == lead.partner_id else None


def _others_hold(client: ClientState, lead: Lead, _: Policy) -> Finding | None:
    holder = _holder_at_receipt(client, lead)
    return Finding(str(holder[0])) if holder is not None else None


def _holder_at_receipt(client: ClientState, lead: Lead) -> tuple[UUID, str] | None:
    """The id and the partner of the lead that held the client when `lead` was received."""
    hold = client.hold
    # A racing lead was received before the hold was granted: the hold covers it, whatever its term.
    if hold is not None and (
        lead.received_at <= hold.confirmed_at or _covers(client.reservations.get(hold.lead_id), lead.received_at)
    ):
        return hold.lead_id, hold.partner_id
    for other, reservation in _withdrawn_before(client, lead):
        if _covers(reservation, lead.received_at):
            return other.lead_id, other.partner_id
    return None


def _withdrawn_before(client: ClientState, lead: Lead) -> Iterator[tuple[Lead, KnownReservation]]:
    """The leads received before `lead` that were withdrawn, and their reservations."""
    for other in client.leads.values():
        reservation = client.reservations.get(other.lead_id)
        if (
            reservation is not None
            and reservation.ended_as == "withdrawn"
            and other.lead_id != lead.lead_id
            and other.queue_position < lead.queue_position
        ):
            yield other, reservation


def _covers(reservation: KnownReservation | None, moment: datetime) -> bool:
    """Whether the reservation had not ended at `moment`. A withdrawal or a sale may come after the end of the term."""
    if reservation is None:
        return False
    if reservation.ended_as in ("won", "withdrawn") and reservation.ended_at is not None:
        return moment < min(reservation.ended_at, reservation.reserved_until)
    return moment < reservation.reserved_until


def _handed_over(client: ClientState, lead: Lead, policy: Policy) -> Finding | None:
    """The client was the builder's when the lead was received: a term had ended, and neither a withdrawal nor a sale
    had corrected that."""
    reservation = _reservation_of_hold(client)
    if reservation is not None and reservation.ended_at is not None and reservation.ended_as == "expired":
        return None if _is_too_old(reservation.ended_at, lead, policy) else Finding(str(reservation.lead_id))
    ended = [withdrawn for _, withdrawn in _withdrawn_before(client, lead)]
    for one in ended if reservation is None else [*ended, reservation]:
        if one.ended_at is not None and one.reserved_until <= lead.received_at < one.ended_at:
            return None if _is_too_old(one.reserved_until, lead, policy) else Finding(str(one.lead_id))
    return None


def _won(client: ClientState, _: Lead, __: Policy) -> Finding | None:
    reservation = _reservation_of_hold(client)
    return Finding(str(reservation.lead_id)) if reservation is not None and reservation.ended_as == "won" else None


def _reservation_of_hold(client: ClientState) -> KnownReservation | None:
    return client.reservations.get(client.hold.lead_id) if client.hold is not None else None


def _known_to_builder(client: ClientState, lead: Lead, policy: Policy) -> Finding | None:
    """An enquiry dated at or before the receipt rejects; within the clock skew of the receipt, a person decides."""
    # The enquiry that the gateway wrote about a withdrawn lead is being deleted, and never was the client's.
    withdrawn = {one.enquiry_ref for one in client.reservations.values() if one.ended_as == "withdrawn"}
    blocking = [
        enquiry
        for enquiry in sorted(lead.enquiries, key=lambda enquiry: (enquiry.date, enquiry.ref))
        if enquiry.ref not in withdrawn and not _is_too_old(enquiry.date, lead, policy)
    ]
    if not blocking or blocking[0].date > lead.received_at + policy.clock_skew:
        return None
    if blocking[0].date <= lead.received_at - policy.clock_skew:
        return Finding(blocking[0].ref)
    near = tuple(enquiry.ref for enquiry in blocking if enquiry.date <= lead.received_at + policy.clock_skew)
    return Finding(near[0], near)


def _insider(client: ClientState, _: Lead, __: Policy) -> Finding | None:
    return Finding(client.insider) if client.insider is not None else None


def _sold(client: ClientState, lead: Lead, _: Policy) -> Finding | None:
    sold = {sale.ref for sale in lead.sales if not sale.cancelled}
    sold |= {deal.sale.ref for deal in client.deals.values() if deal.cancelled_at is None}
    return Finding(min(sold)) if sold else None


def _own_card(client: ClientState, lead: Lead, _: Policy) -> Finding | None:
    """Several clients are on one card: the earliest lead is decided first. The same partner needs no second hold."""
    if not is_loaded(client, lead):
        return Finding(waits=Pending.RELATED)
    if has_earlier(client, lead):
        return Finding(waits=Pending.EARLIER)
    held = held_on_cards(client, lead)
    if not held or held_by_others(client, lead):
        return None
    return Finding(str(held[0].hold.lead_id))


def _same_card(client: ClientState, lead: Lead, _: Policy) -> Finding | None:
    """Another partner holds a client on the same card. Cards are merged wrongly at times, so a person decides."""
    held = held_by_others(client, lead)
    if not held:
        return None
    return Finding(str(held[0].hold.lead_id), tuple(dict.fromkeys(one.card.ref for one in held)))


def _card(client: ClientState, lead: Lead, policy: Policy) -> Finding | None:
    """The client is on a card of the sales office since before the receipt, as far as anything shows it."""
    by_order: dict[Order, list[str]] = {}
    for card, order in counting(client, lead, policy):
        by_order.setdefault(order, []).append(card.ref)
    # A person who ruled that two clients of one card are different ones has decided about the card.
    if before := [ref for ref in by_order.get(Order.BEFORE, ()) if ref not in cleared(lead)]:
        return Finding(before[0])
    if Order.BASELINE in by_order:
        return Finding(waits=Pending.BASELINE)
    unclear = tuple(by_order.get(Order.UNCLEAR, ()))
    return Finding(unclear[0], unclear) if unclear else None


def _is_too_old(since: datetime, lead: Lead, policy: Policy) -> bool:
    return policy.max_enquiry_age is not None and since + policy.max_enquiry_age <= lead.received_at


# The names are stored with the verdicts and published.
FREE: Final = "free"
RULING: Final = "ruling"
RULES: Final = (
    VerdictRule("own-hold", "already-yours", _own_hold),
    VerdictRule("others-hold", "held-by-partner", _others_hold),
    VerdictRule("handed-over", "known-to-builder", _handed_over),
    VerdictRule("won", "already-sold", _won),
    VerdictRule("own-card", "already-yours", _own_card, needs_check=True),
    VerdictRule("enquiry", "known-to-builder", _known_to_builder, needs_check=True),
    VerdictRule("insider", "not-a-client", _insider, needs_check=True),
    VerdictRule("sale", "already-sold", _sold, needs_check=True),
    VerdictRule("same-card", "held-by-partner", _same_card, needs_check=True),
    VerdictRule("card", "known-to-builder", _card, needs_check=True),
)
