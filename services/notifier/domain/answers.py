"""What a provider may answer to a call, and what follows from the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, NamedTuple

ProviderOutcome = Literal["sent", "delivered", "failed"]
"""A provider's status of an SMS that it has accepted: on its way, on the telephone, or given up."""
SettledStatus = Literal["sent", "delivered", "failed", "unknown", "dropped"]
"""Status of an SMS that needs no more calls. `unknown`: no one can find out whether it went out."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has accepted the SMS."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never send this SMS. `elsewhere`: another provider may accept it."""

    code: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Repeated:
    """The provider refused the call as a repeat of one within the last minute, or as one call too many at once."""

    code: str


@dataclass(frozen=True, slots=True)
class Disabled:
    """The provider sends nothing for us until a person acts: no money, wrong password, blocked address."""

    code: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The SMS was certainly not accepted: no connection could be made, or the provider was too busy."""

    reason: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The request was written, but no trustworthy answer came back: the SMS may be out or not."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """The provider has the SMS. `code` is its own name of the status."""

    code: str
    outcome: ProviderOutcome = "sent"


@dataclass(frozen=True, slots=True)
class Missing:
    """The provider has no such SMS, or not yet."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """No trustworthy answer came back. The call had no effect and may be repeated."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoLookup:
    """The provider has no call that returns the status of an SMS; only its delivery report can settle it."""


@dataclass(frozen=True, slots=True)
class Healthy:
    """The provider accepts our account. `balance` is the money left on it in rubles, None where the provider has no
    call for it."""

    balance: Decimal | None = None


SendAnswer = Accepted | Refused | Repeated | Disabled | Unreachable | InDoubt
LookupAnswer = Found | Missing | NoAnswer | Disabled | NoLookup
Health = Healthy | Disabled | NoAnswer


class DisabledFor(NamedTuple):
    """A provider stays disabled for `seconds` more because of its error `code`."""

    code: str
    seconds: float


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
