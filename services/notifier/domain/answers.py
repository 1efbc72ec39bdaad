"""What a provider may answer to a call, and what follows from the answer."""

from dataclasses import dataclass
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
