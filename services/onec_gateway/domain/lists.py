"""The lists of live reservations that the reservations service publishes: the gateway keeps the newest complete one."""

from dataclasses import dataclass
from datetime import datetime

from chassis.decision import Cause, Decision
from contracts.reservations import ReservationsListed


@dataclass(frozen=True, slots=True)
class Lists:
    """What is known of the lists: `newest` is when the newest complete list was taken, None without one; `new` are the
    pages that this transaction adds."""

    newest: datetime | None = None
    new: tuple[ReservationsListed, ...] = ()


def page_listed(lists: Lists, page: ReservationsListed, _: Cause, __: datetime) -> Decision[Lists]:
    """Keep the page, unless a newer list is complete already."""
    if lists.newest is not None and page.taken_at < lists.newest:
        return Decision(lists, superseded=True)
    return Decision(Lists(lists.newest, (*lists.new, page)))
