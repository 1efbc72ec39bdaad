"""Fault injection: which faults are on, and which fault applies to a call."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from tests.simulators.kit.clock import parse_moment

NO_FAULT = "none"


@dataclass(slots=True)
class Fault:
    """One fault that is on.

    It applies to calls whose facts equal `match`, after the first `skip` of them, at most `count` times (None: without
    limit), with this probability, from `since` until `until`. `options` are those of its mode.
    """

    mode: str
    match: dict[str, str] = field(default_factory=dict)
    count: int | None = None
    probability: float = 1.0
    skip: int = 0
    since: datetime | None = None
    until: datetime | None = None
    options: dict[str, Any] = field(default_factory=dict)
    generator: Random = field(default_factory=Random)

    def number(self, name: str, default: float) -> float:
        """A numeric option, such as `seconds` or `status`."""
        return float(self.options.get(name, default))

    def as_json(self) -> dict[str, Any]:
        """The fault as the control call returns it."""
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
    """The faults that are on. To a call applies the first fault that matches it and is chosen by its probability.

    `modes` are the known modes; a fault of a mode in `once` has a `count` of 1 by default.
    """

    def __init__(self, modes: Collection[str], once: Collection[str] = ()) -> None:
        self.modes = sorted(modes)
        self._once = frozenset(once)
        self.active: list[Fault] = []

    def switch(self, body: Mapping[str, Any]) -> None:
        """Switch a fault on, or all faults off by `{"mode": "none"}`. Raises ValueError for an unknown mode."""
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
                # With a seed the same calls are chosen in every run.
                generator=Random(rest.pop("seed", None)),
                options=rest,
            )
        )

    def take(self, facts: Mapping[str, str], now: datetime) -> Fault | None:
        """The fault that applies to a call with these facts, or None. Its `count` is reduced by 1."""
        for fault in self.active:
            if any(facts.get(name) != wanted for name, wanted in fault.match.items()):
                continue
            if (fault.since is not None and now < fault.since) or (fault.until is not None and now >= fault.until):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.count == 0 or (fault.probability < 1.0 and fault.generator.random() >= fault.probability):
                continue
            if fault.count is not None:
                fault.count -= 1
            return fault
        return None


def _moment(value: Any) -> datetime | None:
    return None if value is None else parse_moment(str(value), UTC)
