"""What a provider may answer, and what follows from it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

Outcome = Literal["sent", "delivered", "failed"]
"""What a provider says became of a message it has: on its way, on the telephone, or given up."""
Settled = Literal["sent", "delivered", "failed", "unknown", "dropped"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has taken the message."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never send this message. `elsewhere`: another provider may."""

    code: str
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Repeated:
    """Turned down as a repeat of something sent within the last minute, or as one request too many at once."""

    code: str


@dataclass(frozen=True, slots=True)
class Barred:
    """Nothing goes through this provider until a person acts: money, password, address."""

    code: str


@dataclass(frozen=True, slots=True)
class Unreached:
    """The message was certainly not taken: no connection could be made, or the provider was too busy."""

    reason: str


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The request left and no answer that can be trusted came: it may have taken effect."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """The provider knows the message."""

    code: str
    outcome: Outcome = "sent"


@dataclass(frozen=True, slots=True)
class Missing:
    """The provider knows no such message, or not yet."""


@dataclass(frozen=True, slots=True)
class NoWord:
    """The provider could not be asked, or answered nothing that can be trusted."""

    reason: str


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The provider has no call for this question; only its reports may tell."""


@dataclass(frozen=True, slots=True)
class Well:
    """The provider takes our password, and has money left: `balance` in its own currency, where it tells."""

    balance: Decimal | None = None


SendAnswer = Accepted | Refused | Repeated | Barred | Unreached | InDoubt
LookAnswer = Found | Missing | NoWord | Barred | CannotTell
Health = Well | Barred | NoWord


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that may have taken effect, the last of `sends`: made `age_s` ago at `provider`, looked for `looks`
    times, the last `missing` of them in vain."""

    provider: str
    age_s: float = 0.0
    looks: int = 0
    missing: int = 0
    sends: int = 1


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a message in doubt is looked for.

    `waits_s` are the pauses before each look: twelve looks in about six hours, and no more than three in any minute
    (SMSC answers five). A message is sent again, under the same id, only when at least `missing_looks` looks in a
    row did not find it and more than `resend_after_s` passed since the attempt. After the last look it is `unknown`.
    """

    waits_s: tuple[float, ...] = (5, 15, 30, 30, 60, 120, 300, 600, 1800, 3600, 7200, 7200)
    missing_looks: int = 2
    resend_after_s: float = 60


@dataclass(frozen=True, slots=True)
class Settle:
    """Nothing more to be done about the message."""

    status: Settled
    detail: str | None


@dataclass(frozen=True, slots=True)
class SendAgain:
    """It is as sure as it can be that the message did not get there."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Still in doubt."""

    after_s: float


def after_look(
    answer: Found | Missing | NoWord | CannotTell, attempt: Attempt, patience: Patience
) -> Settle | SendAgain | LookAgain:
    """What follows from a look that `attempt` already counts. Sending again is never a guess."""
    if isinstance(answer, Found):
        return Settle(answer.outcome, answer.code)
    if isinstance(answer, CannotTell):
        return Settle("unknown", "cannot-be-asked")
    if attempt.looks >= len(patience.waits_s):
        return Settle("unknown", "not-resolved")
    if (
        isinstance(answer, Missing)
        and attempt.missing >= patience.missing_looks
        and attempt.age_s > patience.resend_after_s
    ):
        return SendAgain()
    return LookAgain(patience.waits_s[attempt.looks])


def looked(attempt: Attempt, answer: LookAnswer) -> Attempt:
    """The attempt with one more look counted; one that could not ask leaves the row of misses as it is."""
    missing: Mapping[type, int] = {Missing: attempt.missing + 1, NoWord: attempt.missing}
    return replace(attempt, looks=attempt.looks + 1, missing=missing.get(type(answer), 0))
