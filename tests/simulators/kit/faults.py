"""Faults: which of them are switched on, and which one strikes the call at hand."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.simulators.kit.clock import parse_moment

NO_FAULT = "none"


@dataclass(slots=True)
class Fault:
    """One fault, with what it matches and how long it goes on. `skip`: so many matches pass it by first."""

    mode: str
    match: dict[str, str] = field(default_factory=dict)
    count: int | None = None
    probability: float = 1.0
    skip: int = 0
    since: datetime | None = None
    until: datetime | None = None
    options: dict[str, Any] = field(default_factory=dict)
    dice: random.Random = field(default_factory=random.Random)

    def number(self, name: str, default: float) -> float:
        """A numeric option of the fault (`seconds`, `status`, …)."""
        return float(self.options.get(name, default))

    def as_json(self) -> dict[str, Any]:
        """The fault as the control call shows it."""
        return {
            "mode": self.mode,
            "match": self.match,
            "count": self.count,
            "probability": self.probability,
            "skip": self.skip,
            "from": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            **self.options,
        }


class FaultTable:
    """The faults that are on; the first that matches, has strikes left and wins its dice strikes."""

    def __init__(self, modes: Collection[str], once: Collection[str] = ()) -> None:
        self.modes = sorted(modes)
        self._once = frozenset(once)
        self.active: list[Fault] = []

    def order(self, body: Mapping[str, Any]) -> None:
        """Switch a fault on, or all off with `{"mode": "none"}`."""
        rest = dict(body)
        mode = str(rest.pop("mode", NO_FAULT))
        if mode == NO_FAULT:
            self.active.clear()
            return
        if mode not in self.modes:
            raise ValueError(f"unknown mode {mode!r}; known: {', '.join([NO_FAULT, *self.modes])}")
        count = rest.pop("count", 1 if mode in self._once else None)
        self.active.append(
            Fault(
                mode=mode,
                match={str(name): str(wanted) for name, wanted in (rest.pop("match", None) or {}).items()},
                count=None if count is None else int(count),
                probability=float(rest.pop("probability", 1.0)),
                skip=int(rest.pop("skip", 0)),
                since=_moment(rest.pop("from", None)),
                until=_moment(rest.pop("until", None)),
                # A seed makes a run repeatable; without one the dice are free.
                dice=random.Random(rest.pop("seed", None)),
                options=rest,
            )
        )

    def strike(self, facts: Mapping[str, str], now: datetime) -> Fault | None:
        """The fault for a call with these facts, its count already taken down."""
        for fault in self.active:
            if any(facts.get(name) != wanted for name, wanted in fault.match.items()):
                continue
            if (fault.since is not None and now < fault.since) or (fault.until is not None and now >= fault.until):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.count == 0 or (fault.probability < 1.0 and fault.dice.random() >= fault.probability):
                continue
            if fault.count is not None:
                fault.count -= 1
            return fault
        return None


def _moment(said: Any) -> datetime | None:
    return None if said is None else parse_moment(str(said), UTC)
