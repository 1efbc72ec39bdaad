"""Rules for sales that the gateway found in 1C, and for their cancellation."""

from dataclasses import replace
from datetime import datetime

from chassis.decision import Cause, Decision
from contracts.verdicts import DealCancelled, DealClosed
from services.reservations.domain import lifecycle, rewards
from services.reservations.domain.model import ClientState, Deal, Reservation
from services.reservations.domain.policy import Policy
from services.reservations.domain.requests import advance


def deal_closed(
    client: ClientState, message: DealClosed, _: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Win the reservation if the sale's own date is inside it; otherwise the sale is the builder's own."""
    if (known := client.deals.get(message.deal)) is not None:
        return Decision(client, superseded=known.cancelled)
    recorder = policy.recorder(now)
    reservation = client.reservations.get(message.lead_id)
    inside = reservation is not None and _is_inside(reservation, message, policy)
    deal = _deal(message, inside=inside)
    client = client.with_deal(deal)
    details = {
        "deal": deal.ref,
        "contract": deal.contract_number,
        "sold_on": deal.sold_on.isoformat(),
        "amount": f"{deal.amount:.2f}",
        "currency": deal.currency,
    }
    if message.linked_by is not None and message.linked_why is not None:
        details |= {"who": message.linked_by, "why": message.linked_why}
    if reservation is None or not inside or reservation.status not in ("live", "expired"):
        what = "sold-inside" if inside else "sold-outside"
        return advance(recorder.record(client, what, message.lead_id, **details), policy, recorder)
    client, won = lifecycle.win(client, reservation, deal, details, recorder)
    return advance(client, policy, recorder, won)


def deal_cancelled(
    client: ClientState, message: DealCancelled, cause: Cause, now: datetime, *, policy: Policy
) -> Decision[ClientState]:
    """Take back what was accrued for the sale and reopen the reservation that it won.

    A cancellation that comes before the news of its sale is remembered: the sale then changes nothing.
    The reservation stays won if another sale inside it stands, and stays closed if the client's personal data is
    erased. If its term is over by now, it is reopened and expires at once; if another lead got the client after the
    expiry that the sale had corrected, it only expires again. Raises SecondLiveReservation.
    """
    deal = client.deals.get(message.deal)
    recorder = policy.recorder(now)
    if deal is None:
        # The news of the sale is still in the dead letters. It must not bring a void sale to life when it comes.
        client = recorder.record(
            client.with_deal(_deal(message, cancelled=True)), "sale-void", message.lead_id, deal=message.deal
        )
        return advance(client, policy, recorder)
    if deal.cancelled:
        return Decision(client)
    client = client.with_deal(replace(deal, cancelled=True))
    client = recorder.record(client, "sale-void", deal.lead_id, deal=deal.ref)
    client, events = rewards.reverse(client, deal, recorder)
    reservation = client.reservations.get(deal.lead_id)
    if reservation is None or reservation.client is None or reservation.deal != deal.ref:
        return advance(client, policy, recorder, events)
    if (other := _standing_sale(client, deal)) is not None:
        return advance(client.with_reservation(reservation._replace(deal=other.ref)), policy, recorder, events)
    if client.live() is not None and now >= reservation.reserved_until:
        client, expired = lifecycle.expire(client, reservation._replace(deal=None, cause=cause), recorder)
        return advance(client, policy, recorder, (*events, expired))
    lifecycle.require_none_live(client, deal.lead_id)
    client, reopened = lifecycle.reopen(client, reservation, cause, policy, recorder)
    events = (*events, reopened)
    if now >= reservation.reserved_until:
        client, expired = lifecycle.expire(client, client.reservations[deal.lead_id], recorder)
        events = (*events, expired)
    return advance(client, policy, recorder, events)


def _deal(message: DealClosed | DealCancelled, *, inside: bool = False, cancelled: bool = False) -> Deal:
    return Deal(
        message.deal,
        message.lead_id,
        message.amount,
        message.currency,
        message.contract_number,
        message.sold_on,
        inside,
        cancelled,
    )


def _is_inside(reservation: Reservation, sale: DealClosed, policy: Policy) -> bool:
    """Decide by the date of the sale, whenever its news comes; after an expiry the news counts only within the
    grace."""
    if reservation.status == "withdrawn":
        return False
    if reservation.status == "expired" and sale.noticed_at > reservation.reserved_until + policy.sale_grace:
        return False
    current = (reservation.local_day(reservation.confirmed_at), reservation.reserved_through)
    return any(first <= sale.sold_on <= last for first, last in (*reservation.earlier_terms, current))


def _standing_sale(client: ClientState, cancelled: Deal) -> Deal | None:
    """Return another sale inside the same reservation that is not cancelled."""
    return next(
        (
            deal
            for deal in client.deals.values()
            if deal.lead_id == cancelled.lead_id and deal.inside and not deal.cancelled
        ),
        None,
    )
