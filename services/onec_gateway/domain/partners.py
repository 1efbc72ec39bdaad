"""Partners: the present state of each, by partner id."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from chassis.decision import Cause, Decision
from contracts.partners import Partner


@dataclass(frozen=True, slots=True)
class PartnerState:
    """A partner as it is now. `phone_key` is the client key of the partner's phone, because a partner is never a
    client; None if the sealed phone could not be opened."""

    partner: Partner
    phone_key: str | None = None


def partner_changed(
    _: PartnerState | None, message: Partner, __: Cause, ___: datetime, *, phone_key: Callable[[Partner], str | None]
) -> Decision[PartnerState | None]:
    """Replace the partner's state. `phone_key` returns the client key of the partner's phone, None if it is unknown."""
    return Decision(PartnerState(message, phone_key(message)))
