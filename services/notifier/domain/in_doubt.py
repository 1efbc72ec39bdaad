"""SMS in doubt: the provider's answer was lost. Its status is looked up before the SMS may be sent again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.notifier.domain.answers import Found, LookupAnswer, Missing, NoAnswer, NoLookup, SettledStatus


@dataclass(frozen=True, slots=True)
class Attempt:
    """The record that an SMS may be out: it was sent `sends` times, the last time `age_s` seconds ago at `provider`.

    `lookups` is how often its status was looked up since the first sending; the last `misses` lookups did not find it.
    """

    provider: str
    age_s: float = 0.0
    lookups: int = 0
    misses: int = 0
    sends: int = 1


@dataclass(frozen=True, slots=True)
class LookupPolicy:
    """How long the status of an SMS in doubt is looked up.

    `pauses_s` are the pauses in seconds before each lookup: twelve lookups in about six hours, and at most three in
    any minute (SMSC answers at most five). An SMS is sent again, under the same id, only when at least
    `misses_before_resend` lookups in a row did not find it and more than `resend_after_s` seconds passed since it was
    sent. After the last lookup it is `unknown`.
    """

    pauses_s: tuple[float, ...] = (5, 15, 30, 30, 60, 120, 300, 600, 1800, 3600, 7200, 7200)
    misses_before_resend: int = 2
    resend_after_s: float = 60


@dataclass(frozen=True, slots=True)
class Settle:
    """The SMS needs no more calls; this is its final status."""

    status: SettledStatus
    detail: str | None


@dataclass(frozen=True, slots=True)
class SendAgain:
    """The SMS very probably did not reach the provider, so it may be sent again under the same id."""


@dataclass(frozen=True, slots=True)
class LookUpAgain:
    """The SMS is still in doubt: look its status up again after `after_s` seconds."""

    after_s: float


def next_step(
    answer: Found | Missing | NoAnswer | NoLookup, attempt: Attempt, policy: LookupPolicy
) -> Settle | SendAgain | LookUpAgain:
    """What follows from the answer to a lookup. `attempt` counts this lookup already.

    An SMS is sent again only after repeated misses, never because an answer was lost.
    """
    if isinstance(answer, Found):
        return Settle(answer.outcome, answer.code)
    if isinstance(answer, NoLookup):
        return Settle("unknown", "cannot-be-asked")
    if attempt.lookups >= len(policy.pauses_s):
        return Settle("unknown", "not-resolved")
    if (
        isinstance(answer, Missing)
        and attempt.misses >= policy.misses_before_resend
        and attempt.age_s > policy.resend_after_s
    ):
        return SendAgain()
    return LookUpAgain(policy.pauses_s[attempt.lookups])


def count_lookup(attempt: Attempt, answer: LookupAnswer) -> Attempt:
    """The attempt with one more lookup. A lookup without an answer leaves the number of misses as it is."""
    misses: Mapping[type, int] = {Missing: attempt.misses + 1, NoAnswer: attempt.misses}
    return replace(attempt, lookups=attempt.lookups + 1, misses=misses.get(type(answer), 0))
