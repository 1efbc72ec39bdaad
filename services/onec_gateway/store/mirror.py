"""What the gateway has read of 1C's cards and enquiries, with keys in place of phones.

The watch writes here what it reads, and `changes` is the difference between this and the facts of the watched clients.
So nothing that was read is lost if a process ends before it is decided.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from chassis.service import Database, Rows, execute, fetch, rows, write_rows
from services.onec_gateway.domain.inputs import EnquirySeen, GoneEnquiry, SharedCardSeen
from services.onec_gateway.domain.model import Enquiry
from services.onec_gateway.domain.series import Place, Places, SeenEnquiry, parse
from services.onec_gateway.store.tables import CardPhoneRow, CardRow, EnquiryRow, PhoneTailRow, PlaceRow

ENQUIRIES: Final = "enquiries"
SALES: Final = "sales"
CARDS: Final = "cards"
_FIRST_SIGHT: Final = ("first_seen_at", "not_there_at")
_WHOLE: Final = ""
_BASELINE: Final = "baseline"

# Clients that have a hold or a lead under review.
_WATCHED: Final = """
    SELECT client_key FROM holds WHERE NOT released UNION SELECT client_key FROM leads WHERE decided_at IS NULL
"""
_IS_OWN: Final = """
    EXISTS (SELECT 1 FROM facts o WHERE o.kind = 'own-enquiry' AND o.ref = e.ref)
    OR EXISTS (SELECT 1 FROM known_reservations r WHERE r.enquiry_ref = e.ref)
"""
_CHANGES: Final = f"""
    WITH watched AS ({_WATCHED}), numbers AS (
        SELECT client_key, client_key AS number FROM watched
        UNION ALL SELECT w.client_key, t.tail FROM watched w JOIN phone_tails t ON t.client_key = w.client_key
    )
    SELECT DISTINCT n.client_key, e.ref, e.number, e.date, e.ours, e.deleted, e.first_seen_at, e.not_there_at
    FROM numbers n JOIN card_phones p ON p.number = n.number AND p.gone_at IS NULL
    JOIN enquiries e ON e.card = p.card
    LEFT JOIN facts f ON f.client_key = n.client_key AND f.kind = 'sighting' AND f.ref = e.ref
    WHERE CASE WHEN f.ref IS NULL THEN NOT e.deleted
               ELSE (f.body->>'deleted')::boolean <> e.deleted
                    OR (NOT e.deleted AND (f.body->'enquiry'->>'date')::timestamptz <> e.date) END
      AND NOT ({_IS_OWN})
    ORDER BY e.first_seen_at, e.ref, n.client_key
"""
# An enquiry that is not known to be deleted was there when it was last read: by the last complete read at the latest.
_LAST_READ: Final = """
    GREATEST(e.seen_at, (SELECT c.at FROM watch_places c WHERE c.journal = 'enquiries' AND c.series = ''))
"""
_GONE: Final = f"""
    SELECT p.number AS phone, p.card, e.ref, e.number, e.date, e.ours, e.first_seen_at,
           CASE WHEN NOT e.deleted OR e.alive_at IS NOT NULL
                THEN LEAST(p.gone_at, COALESCE(e.alive_at, {_LAST_READ})) END AS alive_at
    FROM card_phones p JOIN enquiries e ON e.card = p.card OR e.was_card = p.card
    WHERE p.number = ANY($1::text[]) AND NOT ({_IS_OWN})
"""
_UNSEEN: Final = """
    SELECT e.ref FROM enquiries e WHERE NOT e.deleted AND e.seen_at < $1
      AND NOT EXISTS (SELECT 1 FROM unnest($2::text[]) AS found (ref) WHERE found.ref = e.ref)
    ORDER BY e.seen_at, e.ref LIMIT $3
"""
_MARK_MISSING: Final = f"""
    UPDATE enquiries e SET deleted = true, alive_at = {_LAST_READ}, seen_at = $2
    WHERE ref = ANY($1::text[]) AND NOT deleted AND seen_at <= $2
"""
_PHONES_GONE: Final = """
    UPDATE card_phones p SET gone_at = $3 WHERE p.card = ANY($4::text[]) AND p.gone_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM unnest($1::text[], $2::text[]) AS has (number, card)
                      WHERE has.number = p.number AND has.card = p.card)
"""
_WITHOUT_TAIL: Final = f"""
    SELECT DISTINCT ON (l.client_key) l.client_key, l.lead_id, l.client FROM leads l
    JOIN ({_WATCHED}) w ON w.client_key = l.client_key
    WHERE l.client <> '' AND NOT EXISTS (SELECT 1 FROM phone_tails t WHERE t.client_key = l.client_key)
    ORDER BY l.client_key, l.number LIMIT $1
"""
_CLIENTS_OF_CARDS: Final = f"""
    WITH watched AS ({_WATCHED})
    SELECT DISTINCT p.card, w.client_key FROM card_phones p JOIN watched w ON w.client_key = p.number
    WHERE p.card = ANY($1::text[]) AND p.gone_at IS NULL ORDER BY p.card, w.client_key
"""


# Two partners hold clients whose numbers are on one card, and no collision says so.
_SHARED_CARDS: Final = """
    WITH held AS (
        SELECT h.client_key, h.lead_id, h.partner_id, l.received_at, l.number FROM holds h
        JOIN leads l ON l.lead_id = h.lead_id LEFT JOIN known_reservations r ON r.lead_id = h.lead_id
        WHERE NOT h.released AND r.ended_at IS NULL
    ), numbers AS (
        SELECT client_key, client_key AS number FROM held
        UNION ALL SELECT h.client_key, t.tail FROM held h JOIN phone_tails t ON t.client_key = h.client_key
    ), on_cards AS (
        SELECT h.*, p.card, p.first_seen_at FROM numbers n JOIN held h ON h.client_key = n.client_key
        JOIN card_phones p ON p.number = n.number AND p.gone_at IS NULL
    )
    SELECT a.client_key, b.client_key AS other, a.card, GREATEST(min(a.first_seen_at), min(b.first_seen_at)) AS at
    FROM on_cards a JOIN on_cards b ON b.card = a.card AND b.partner_id <> a.partner_id
        AND b.client_key <> a.client_key AND (b.received_at, b.number) < (a.received_at, a.number)
    WHERE NOT EXISTS (
        SELECT 1 FROM facts f WHERE f.kind = 'collision' AND f.body->>'card' = a.card
            AND (f.client_key, f.body->>'other_lead_id') IN (
                (a.client_key, b.lead_id::text), (b.client_key, a.lead_id::text)))
    GROUP BY a.client_key, b.client_key, a.card ORDER BY a.client_key, b.client_key, a.card
"""
_SEEN_BEFORE: Final = """
    SELECT number, card, first_seen_at, not_there_at FROM card_phones
    WHERE number = ANY($1::text[]) AND card = ANY($2::text[])
"""
_CLIENTS_OF_TAILS: Final = "SELECT client_key, tail FROM phone_tails WHERE tail = ANY($1::text[])"


@dataclass(frozen=True, slots=True)
class Sight:
    """When a number was first read on a card. The fields are those of `Card`."""

    first_seen_at: datetime
    not_there_at: datetime | None = None
    in_baseline: bool = False


@dataclass(frozen=True, slots=True)
class SealedClient:
    """A watched client whose phone the watch must open once: `client` is sealed for the lead `lead_id`."""

    key: str
    lead_id: str
    client: str


class Mirror:
    """Reads and writes the rows. Each method is a transaction of its own. `zone` is the zone of 1C's dates."""

    def __init__(self, database: Database, zone: ZoneInfo) -> None:
        self._database = database
        self._zone = zone

    async def places(self, journal: str) -> Places:
        """How far each series of a journal was read."""
        found = await self._place_rows(journal)
        return Places(
            self._zone,
            {parse(row["series"]): Place(row["position"], row["at"]) for row in found if row["series"] != _WHOLE},
        )

    async def save_places(self, journal: str, places: Places) -> None:
        """Replace the places of a journal."""
        values = [
            {"journal": journal, "series": series.name, "position": place.position, "at": place.at, "after": None}
            for series, place in places.by_series.items()
        ]
        await self._write(Rows(PlaceRow, values))

    async def complete_at(self, journal: str) -> datetime | None:
        """When the last complete read of `cards` or `enquiries` began; None before the first."""
        row = await self._place(journal, _WHOLE)
        return row["at"] if row is not None else None

    async def baseline(self) -> tuple[datetime, str] | None:
        """When the first complete read of all cards began, and the last reference that it has read; None before it."""
        row = await self._place(CARDS, _BASELINE)
        return (row["at"], row["after"] or "") if row is not None else None

    async def save_baseline(self, began: datetime, after: str) -> None:
        """Record how far the first complete read of all cards has come."""
        row = {"journal": CARDS, "series": _BASELINE, "position": 0, "at": began, "after": after}
        await self._write(Rows(PlaceRow, [row]))

    async def save_complete(self, journal: str, at: datetime) -> None:
        """Record that a complete read, which began at `at`, has ended."""
        await self._write(
            Rows(PlaceRow, [{"journal": journal, "series": _WHOLE, "position": 0, "at": at, "after": None}])
        )

    async def changed_cards(self, versions: Mapping[str, str]) -> list[str]:
        """The cards among these, reference → version, that are unknown or have another version now."""
        async with self._database.single() as tx:
            known = {row["ref"]: row["version"] for row in await fetch(tx, CardRow, "ref", list(versions))}
        return [ref for ref, version in versions.items() if known.get(ref) != version]

    async def save_cards(self, versions: Mapping[str, str], keys: Mapping[str, Collection[str]], at: datetime) -> None:
        """Write cards with the keys of all numbers that they have, as read at `at`. A card without a version in
        `versions` is read again by the next complete read."""
        phones = [(key, card) for card in keys for key in sorted(keys[card])]
        absent_at = await self.complete_at(CARDS)
        rows_of_phones = [_phone_row(key, card, at, absent_at) for key, card in phones]
        cards = [{"ref": card, "version": versions.get(card, ""), "first_seen_at": at} for card in keys]
        async with self._database.transaction() as tx:
            for values in (
                Rows(CardRow, cards, keep=("first_seen_at",)),
                Rows(CardPhoneRow, rows_of_phones, keep=_FIRST_SIGHT),
            ):
                if values.values:
                    await write_rows(tx, values)
            numbers, owners = [key for key, _ in phones], [card for _, card in phones]
            await execute(tx, _PHONES_GONE, numbers, owners, at, list(keys))

    async def note_cards(
        self, holders: Iterable[tuple[tuple[str, str], str]], read_at: datetime
    ) -> dict[tuple[str, str], Sight]:
        """Write that cards have numbers, beside the other numbers that they have. Each holder is the keys of a number
        (whole, last digits) and a card. Returns the first sight of each by (key of the whole number, card).
        """
        found = sorted(set(holders))
        if not found:
            return {}
        keys, cards = sorted({key for pair, _ in found for key in pair}), sorted({card for _, card in found})
        absent_at, baseline = await self.complete_at(CARDS), await self.baseline()
        async with self._database.single() as tx:
            known = {(row.number, row.card): row for row in await rows(tx, _SEEN_BEFORE, keys, cards)}
        sights: dict[tuple[str, str], Sight] = {}
        for pair, card in found:
            before = [known[key, card] for key in pair if (key, card) in known]
            first = min(before, key=lambda row: row.first_seen_at, default=None)
            seen_at, not_there_at = (read_at, absent_at) if first is None else (first.first_seen_at, first.not_there_at)
            if not_there_at is None and absent_at is not None and baseline is not None:
                # What the first complete read finds counts as seen at its beginning.
                seen_at = min(seen_at, baseline[0])
            sights[pair[0], card] = Sight(seen_at, not_there_at, absent_at is None)
        # A card may have the number without its code, so it is noted under the last digits.
        values = [_phone_row(pair[1], card, read_at, absent_at) for pair, card in found]
        await self._write(Rows(CardPhoneRow, values, keep=_FIRST_SIGHT))
        return sights

    async def clients_with_tails(self, tails: Collection[str]) -> dict[str, list[str]]:
        """The watched clients whose numbers end with these digits: key of the digits → client keys."""
        clients: dict[str, list[str]] = {}
        if tails:
            async with self._database.single() as tx:
                for row in await rows(tx, _CLIENTS_OF_TAILS, sorted(tails)):
                    clients.setdefault(row.tail, []).append(row.client_key)
        return clients

    async def save_enquiries(self, found: Iterable[SeenEnquiry], places: Places, read_at: datetime) -> list[str]:
        """Write the enquiries that a read begun at `read_at` found. Returns the cards of those that are new or changed.

        `places` are those before the read. What a later read has written stays.
        """
        by_ref = {seen.ref: seen for seen in found}
        if not by_ref:
            return []
        complete_at = await self.complete_at(ENQUIRIES)
        async with self._database.transaction() as tx:
            known = {row["ref"]: row for row in await fetch(tx, EnquiryRow, "ref", list(by_ref))}
            changed = [
                _enquiry_row(seen, known.get(ref), places, read_at, complete_at)
                for ref, seen in by_ref.items()
                if ref not in known or (_state(known[ref]) != _state_of(seen) and known[ref]["seen_at"] <= read_at)
            ]
            if changed:
                await write_rows(tx, Rows(EnquiryRow, changed))
        return sorted({row["card"] for row in changed})

    async def unseen(self, refs: Sequence[str], began: datetime, limit: int) -> list[str]:
        """At most `limit` enquiries that a complete read begun at `began` should have found, and that `refs` lacks."""
        async with self._database.single() as tx:
            return [row.ref for row in await rows(tx, _UNSEEN, began, refs, limit)]

    async def mark_missing(self, refs: Sequence[str], read_at: datetime) -> None:
        """Record that a read begun at `read_at` should have found these enquiries and did not."""
        if refs:
            async with self._database.single() as tx:
                await execute(tx, _MARK_MISSING, refs, read_at)

    async def gone(self, keys: Sequence[str], found: Collection[str]) -> dict[str, list[GoneEnquiry]]:
        """The enquiries that cards with these keys of numbers had, by key, without those that were just `found`."""
        async with self._database.single() as tx:
            known = await rows(tx, _GONE, keys)
        gone: dict[str, list[GoneEnquiry]] = {}
        for row in known:
            if row.ref not in found:
                enquiry = Enquiry(row.ref, row.date, row.number, row.ours)
                one = GoneEnquiry(enquiry, row.alive_at, row.first_seen_at, row.card)
                gone.setdefault(row.phone, []).append(one)
        return gone

    async def changes(self, now: datetime) -> list[tuple[str, EnquirySeen]]:
        """The enquiries of watched clients that differ from what the clients' facts hold: (client key, input at `now`),
        the earliest first."""
        async with self._database.single() as tx:
            found = await rows(tx, _CHANGES)
        return [
            (
                row.client_key,
                EnquirySeen(
                    Enquiry(row.ref, row.date, row.number, row.ours),
                    now,
                    row.not_there_at,
                    row.deleted,
                    row.first_seen_at,
                ),
            )
            for row in found
        ]

    async def shared_cards(self) -> list[tuple[str, SharedCardSeen]]:
        """The cards on which two partners hold clients and no collision says so: (key of the later client, input)."""
        async with self._database.single() as tx:
            found = await rows(tx, _SHARED_CARDS)
        return [(row.client_key, SharedCardSeen(row.card, row.other, row.at)) for row in found]

    async def clients_of(self, cards: Sequence[str]) -> dict[str, list[str]]:
        """The watched clients whose whole numbers these cards have: card → client keys. Digits without a code do not
        count here: a sale to a stranger would earn a reward."""
        async with self._database.single() as tx:
            found = await rows(tx, _CLIENTS_OF_CARDS, cards)
        clients: dict[str, list[str]] = {}
        for row in found:
            clients.setdefault(row.card, []).append(row.client_key)
        return clients

    async def without_tail(self, limit: int) -> list[SealedClient]:
        """At most `limit` watched clients whose tails are not stored yet."""
        async with self._database.single() as tx:
            found = await rows(tx, _WITHOUT_TAIL, limit)
        return [SealedClient(row.client_key, str(row.lead_id), row.client) for row in found]

    async def save_tails(self, tails: Mapping[str, str]) -> None:
        """Write the key of the tail of each client, by client key."""
        await self._write(Rows(PhoneTailRow, [{"client_key": key, "tail": tail} for key, tail in tails.items()]))

    async def _place(self, journal: str, series: str) -> Mapping[str, Any] | None:
        return next((row for row in await self._place_rows(journal) if row["series"] == series), None)

    async def _place_rows(self, journal: str) -> Sequence[Mapping[str, Any]]:
        async with self._database.single() as tx:
            return await fetch(tx, PlaceRow, "journal", [journal])

    async def _write(self, values: Rows) -> None:
        if values.values:
            async with self._database.single() as tx:
                await write_rows(tx, values)


def _phone_row(key: str, card: str, at: datetime, absent_at: datetime | None) -> dict[str, Any]:
    return {"number": key, "card": card, "first_seen_at": at, "gone_at": None, "not_there_at": absent_at}


def _state(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["card"], row["number"], row["date"], row["ours"], row["deleted"]


def _state_of(seen: SeenEnquiry) -> tuple[Any, ...]:
    return seen.card, seen.number, seen.date, seen.ours, seen.deleted


def _enquiry_row(
    seen: SeenEnquiry,
    known: Mapping[str, Any] | None,
    places: Places,
    read_at: datetime,
    complete_at: datetime | None,
) -> dict[str, Any]:
    row = {
        "ref": seen.ref,
        "card": seen.card,
        "was_card": None,
        "number": seen.number,
        "date": seen.date,
        "ours": seen.ours,
        "deleted": seen.deleted,
        "first_seen_at": read_at,
        "not_there_at": places.absent_at(seen.number, seen.date),
        "seen_at": read_at,
        "alive_at": None,
    }
    if known is None:
        return row
    has_moved = seen.card != known["card"]
    last_alive_at = known["alive_at"] if known["deleted"] else max(known["seen_at"], complete_at or known["seen_at"])
    return row | {
        "was_card": known["card"] if has_moved else known["was_card"],
        "first_seen_at": known["first_seen_at"],
        "not_there_at": known["not_there_at"],
        "alive_at": last_alive_at if seen.deleted or has_moved else None,
    }
