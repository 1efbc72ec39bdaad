"""Test doubles of the notifier's ports. The two logs pass the same suites as the real ones in PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from chassis.clock import Clock
from services.notifier.domain.answers import DisabledFor, Health, Healthy, LookupAnswer, SendAnswer
from services.notifier.domain.in_doubt import Attempt
from services.notifier.domain.model import SUPERSEDED, Limits, Sms
from services.notifier.store.attempts import Begun, OutgoingSms
from tests.notifier.samples import NOON, REALTOR

HOUR_S, DAY_S = 3600.0, 86400.0


class InMemoryAttemptLog:
    """`work.AttemptLog` in memory; see test_attempt_log for the suite that it shares with the real one.

    `persons`: partner id → sealed person. `now_s` is its clock, in seconds. `meanwhile` runs right after `outgoing`
    has read: what an event or another process does between the reading and the call.
    """

    def __init__(self, *messages: Sms, persons: Mapping[str, str], limits: Limits | None = None) -> None:
        self.messages = {sms.message_id: sms for sms in messages}
        self.persons = {**persons}
        self.limits = limits or Limits()
        self.now_s = 0.0
        self.meanwhile: Callable[[], None] = lambda: None
        self._attempts: dict[UUID, tuple[Attempt, float]] = {}

    def put(self, message_id: UUID, attempt: Attempt) -> None:
        """Record an attempt as it is, begun `attempt.age_s` seconds ago."""
        self._attempts[message_id] = (attempt, self.now_s - attempt.age_s)

    def make_obsolete(self) -> None:
        """Mark all SMS as an event does that makes their texts untrue."""
        self.messages = {key: replace(sms, obsolete=SUPERSEDED) for key, sms in self.messages.items()}

    def attempt(self, message_id: UUID) -> Attempt | None:
        """The recorded attempt, with its present age."""
        if message_id not in self._attempts:
            return None
        attempt, began_s = self._attempts[message_id]
        return replace(attempt, age_s=self.now_s - began_s)

    async def outgoing(self, message_ids: Sequence[UUID]) -> Mapping[UUID, OutgoingSms]:
        found = {
            sms.message_id: OutgoingSms(sms, self.persons.get(sms.partner_id), self.attempt(sms.message_id))
            for sms in map(self.messages.get, message_ids)
            if sms is not None
        }
        self.meanwhile()
        return found

    async def begin(self, sms: Sms, provider: str, earlier: Attempt | None) -> Begun:
        recorded = self.attempt(sms.message_id)
        obsolete = self.messages[sms.message_id].obsolete is not None
        if earlier is None:
            if recorded is not None:
                return "taken"
            if obsolete:
                return "obsolete"
            if self._is_over_limit(sms.partner_id):
                return "over-limit"
            self.put(sms.message_id, Attempt(provider))
            return "begun"
        if recorded is None or recorded.sends != earlier.sends or obsolete:
            return "taken"
        self.put(sms.message_id, replace(recorded, provider=provider, age_s=0.0, misses=0, sends=recorded.sends + 1))
        return "begun"

    async def forget(self, message_id: UUID) -> None:
        if message_id in self._attempts and self._attempts[message_id][0].sends == 1:
            del self._attempts[message_id]

    async def record_lookup(self, message_id: UUID, attempt: Attempt) -> None:
        recorded = self.attempt(message_id)
        if recorded is not None:
            self.put(message_id, replace(recorded, lookups=attempt.lookups, misses=attempt.misses))

    def _is_over_limit(self, partner_id: str) -> bool:
        ages = [
            self.now_s - began_s
            for message_id, (_, began_s) in self._attempts.items()
            if self.messages[message_id].partner_id == partner_id
        ]
        windows = ((self.limits.per_hour, HOUR_S), (self.limits.per_day, DAY_S))
        return any(limit and sum(age < window_s for age in ages) >= limit for limit, window_s in windows)


class InMemoryProviderLog:
    """`provider_pool.ProviderLog` in memory; see test_provider_log for the suite that it shares with the real one."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.errors: dict[str, str | None] = {}
        self.balances: dict[str, Decimal] = {}
        self._disabled: dict[str, tuple[str, float]] = {}

    async def disabled(self) -> Mapping[str, DisabledFor]:
        return {
            name: DisabledFor(code, until_s - self.now_s)
            for name, (code, until_s) in self._disabled.items()
            if until_s > self.now_s
        }

    async def record(
        self, name: str, *, disabled: DisabledFor | None, balance: Decimal | None, error: str | None
    ) -> None:
        self.errors[name] = error
        if balance is not None:
            self.balances[name] = balance
        if disabled is not None:
            self._disabled[name] = (disabled.code, self.now_s + disabled.seconds)
        elif error is None:
            self._disabled.pop(name, None)


@dataclass
class ScriptedProvider:
    """Answers from a script, and records its calls."""

    answers: list[SendAnswer | LookupAnswer]
    calls: list[str] = field(default_factory=list)
    name: str = "scripted"
    health: Health = field(default_factory=Healthy)

    async def send(self, _: UUID, phone: str, text: str) -> Any:
        assert (phone, "Иванов И." in text) == (REALTOR.phone, True)
        self.calls.append("send")
        return self.answers.pop(0)

    async def lookup(self, _: UUID, __: str) -> Any:
        self.calls.append("lookup")
        return self.answers.pop(0)

    async def check(self) -> Health:
        return self.health

    async def close(self) -> None:
        pass


class FixedClock(Clock):
    """Business time that stands still."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at
