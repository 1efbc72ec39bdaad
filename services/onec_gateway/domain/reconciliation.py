"""The comparison of who holds which client: by the gateway, by the reservations service, and by 1C's partner journal.

The three change while they are read. What differs only because a change is on its way is left out: an entry in 1C of a
lead for which a write is waiting (`Books.in_flight`), and, by the caller, whatever a second look does not find again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import chain
from typing import Literal

Kind = Literal[
    "hold-without-reservation",
    "reservation-without-hold",
    "other-lead",
    "other-date",
    "no-entry",
    "entry-deleted",
    "state-edited",
    "date-edited",
    "other-partner",
    "other-client",
    "two-entries",
    "not-reserved",
    "unknown-lead",
]


@dataclass(frozen=True, slots=True)
class Side:
    """What one side has of a lead; None for what it does not know or what does not matter.

    `state` is `active`, `expired`, `won` or `withdrawn`, or the word in 1C if it is none of these. `count`: how many
    entries 1C has.
    """

    lead_id: str
    partner_id: str | None = None
    through: date | None = None
    state: str | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A reservation, live or over, as the gateway knows it. `entered`: the gateway wrote its entry to the partner
    journal. `restorable`: the gateway has the lead and its client, so it can write the entry."""

    side: Side
    client_key: str
    entered: bool
    restorable: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of 1C's partner journal. `client_keys`: the keys of its numbers. `deleted`: marked for deletion."""

    side: Side
    client_keys: frozenset[str]
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Books:
    """What the gateway has.

    `held`: who holds each client, by client key; without a date until the reservation is known. `known`: reservations
    by lead id. `leads`: ids of leads in the journal that were submitted, but never reserved. `in_flight`: ids of leads
    whose entries are about to be written.
    """

    held: Mapping[str, Side]
    known: Mapping[str, Known]
    leads: frozenset[str] = frozenset()
    in_flight: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference, and what each side has; None for a side that has nothing, or that is not concerned.

    `restorable`: the gateway can write the entry in 1C anew, which ends the difference.
    """

    kind: Kind
    lead_id: str
    client_key: str | None = None
    hold: Side | None = None
    reservation: Side | None = None
    entry: Side | None = None
    restorable: bool = False


def compare(books: Books, listed: Mapping[str, Side], journal: Mapping[str, Sequence[Entry]]) -> Sequence[Difference]:
    """All differences, those between the gateway and the list first.

    `listed`: the live reservations of the list by client key; `journal`: the entries of 1C by lead id.
    """
    between = list(_with_list(books, listed, journal))
    dated_otherwise = {one.lead_id for one in between if one.kind == "other-date"}
    listed_leads = {side.lead_id for side in listed.values()}
    entries = chain.from_iterable(
        _with_journal(known, journal.get(lead_id, ()), lead_id not in dated_otherwise)
        for lead_id, known in books.known.items()
        if lead_id not in books.in_flight
    )
    return [*between, *entries, *_strangers(books, listed_leads, journal)]


def _with_list(
    books: Books, listed: Mapping[str, Side], journal: Mapping[str, Sequence[Entry]]
) -> Iterator[Difference]:
    for key in sorted({*books.held, *listed}):
        hold, reservation = books.held.get(key), listed.get(key)
        kind: Kind
        if reservation is None:
            kind = "hold-without-reservation"
        elif hold is None:
            kind = "reservation-without-hold"
        elif hold.lead_id != reservation.lead_id:
            kind = "other-lead"
        elif hold.through != reservation.through:
            kind = "other-date"
        else:
            continue
        about = hold or reservation
        assert about is not None
        alive = [entry.side for entry in journal.get(about.lead_id, ()) if not entry.deleted]
        yield Difference(kind, about.lead_id, key, hold, reservation, alive[0] if alive else None)


def _with_journal(known: Known, entries: Sequence[Entry], compare_dates: bool) -> Iterator[Difference]:
    side = known.side
    found = Difference("no-entry", side.lead_id, known.client_key, side, restorable=known.restorable)
    alive = [entry for entry in entries if not entry.deleted]
    if not alive:
        # Entries of reservations that are over may have been cleared away.
        if side.state == "active":
            yield replace(found, kind="entry-deleted" if entries or known.entered else "no-entry")
        return
    first = alive[0]
    found = replace(found, entry=first.side)
    if len(alive) > 1:
        counted = replace(first.side, count=len(alive))
        yield replace(found, kind="two-entries", entry=counted, restorable=False)
    if first.side.state != side.state:
        yield replace(found, kind="state-edited")
    if first.side.through != side.through and compare_dates:
        yield replace(found, kind="date-edited")
    if side.partner_id is not None and first.side.partner_id != side.partner_id:
        yield replace(found, kind="other-partner")
    if known.client_key not in first.client_keys:
        yield replace(found, kind="other-client")


def _strangers(books: Books, listed_leads: set[str], journal: Mapping[str, Sequence[Entry]]) -> Iterator[Difference]:
    """The entries of leads that are not reserved. A lead in the list is a difference already."""
    for lead_id, entries in journal.items():
        if lead_id in books.known or lead_id in listed_leads or lead_id in books.in_flight:
            continue
        for entry in [entry for entry in entries if not entry.deleted][:1]:
            yield Difference("not-reserved" if lead_id in books.leads else "unknown-lead", lead_id, entry=entry.side)
