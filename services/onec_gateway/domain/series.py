"""Series of document numbers in 1C, and how far the watching has read each.

1C assigns the numbers of one series in the order of entry, whatever date a document gets. A series is a prefix and a
year: another prefix has numbers of its own, and each year's numbers may begin again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from services.onec_gateway.domain.model import Enquiry

OVERLAP: Final = 50
"""So many of the last numbers are read again: a transaction may be committed after a later one."""


@dataclass(frozen=True, slots=True)
class SeenEnquiry:
    """An enquiry as one read of 1C returned it, also a deleted one (`deleted`: marked for deletion).

    `card` is the reference of the client's card. `ours`: its comment is the one that the gateway writes into an enquiry
    when a reservation has expired; people copy enquiries with their comments.
    """

    ref: str
    card: str
    number: str
    date: datetime
    ours: bool
    deleted: bool

    def enquiry(self) -> Enquiry:
        """This enquiry as a fact about a client, without its card."""
        return Enquiry(self.ref, self.date, self.number, self.ours)


@dataclass(frozen=True, slots=True)
class Series:
    """The documents with one prefix, one length of their digits and one year of their dates, in the infobase's zone."""

    prefix: str
    digits: int
    year: int

    @property
    def name(self) -> str:
        """The series as one text, for example `0000-######/2026`."""
        return f"{self.prefix}{'#' * self.digits}/{self.year}"

    def number(self, position: int) -> str:
        """The number at a position of the series, not below its zero."""
        return f"{self.prefix}{max(position, 0):0{self.digits}d}"


@dataclass(frozen=True, slots=True)
class Place:
    """How far a series was read: the highest position, and when that read began.

    A document at a higher position did not exist in 1C at `at`.
    """

    position: int
    at: datetime


def series_of(number: str, date: datetime, zone: ZoneInfo) -> tuple[Series, int]:
    """The series of a document with this number and date, and its position there; a number without digits has 0."""
    prefix = number.rstrip("0123456789")
    digits = number[len(prefix) :]
    # The empty date of 1C has no local time in zones west of the earliest one.
    year = date.year if date.year <= 1 else date.astimezone(zone).year
    return Series(prefix, len(digits), year), int(digits or 0)


def parse(name: str) -> Series:
    """The series with this name."""
    number, _, year = name.rpartition("/")
    prefix = number.rstrip("#")
    return Series(prefix, len(number) - len(prefix), int(year))


@dataclass(slots=True)
class Places:
    """The places of one journal by series. `zone` is the zone of 1C's dates."""

    zone: ZoneInfo
    by_series: dict[Series, Place] = field(default_factory=dict)

    def absent_at(self, number: str, date: datetime) -> datetime | None:
        """When 1C was read without the document that has this number and date; None if no such read is known."""
        series, position = series_of(number, date, self.zone)
        place = self.by_series.get(series)
        return place.at if place is not None and position > place.position else None

    def advance(self, documents: Iterable[tuple[str, datetime]], at: datetime) -> None:
        """Take note of documents, each (number, date), that a read begun at `at` found."""
        for series, position in highest(documents, self.zone).items():
            known = self.by_series.get(series)
            if known is None or position > known.position:
                self.by_series[series] = Place(position, at)

    def read_again(self, series: Iterable[Series], at: datetime) -> None:
        """Take note that a read begun at `at` covered these series to their ends."""
        for one in series:
            if (known := self.by_series.get(one)) is not None and known.at < at:
                self.by_series[one] = Place(known.position, at)

    def settle(self, found: Mapping[Series, int], at: datetime) -> None:
        """Set the places to the highest positions that a complete read begun at `at`, and the reads since, found.

        A number that a person typed too high, and corrected, so no longer hides the numbers below it.
        """
        for series, position in found.items():
            known = self.by_series.get(series)
            is_lower = known is not None and position < known.position
            self.by_series[series] = Place(position, at if known is None or is_lower else max(known.at, at))

    def copy(self) -> "Places":
        """The same places, to be changed apart."""
        return Places(self.zone, dict(self.by_series))

    def recent(self, now: datetime) -> list[Series]:
        """The series of this year and of the year before: new documents of older years are found by complete reads."""
        year = now.astimezone(self.zone).year
        return sorted(
            (series for series in self.by_series if series.digits and series.year >= year - 1),
            key=lambda series: (-series.year, series.prefix, series.digits),
        )


def highest(documents: Iterable[tuple[str, datetime]], zone: ZoneInfo) -> dict[Series, int]:
    """The highest position in each series among these documents, each (number, date)."""
    found: dict[Series, int] = {}
    for number, date in documents:
        series, position = series_of(number, date, zone)
        found[series] = max(found.get(series, 0), position)
    return found
