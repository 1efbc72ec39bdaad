"""Partners: the present state of each, by partner id."""

from collections.abc import Callable
from datetime import datetime

from chassis.decision import Cause, Decision
from contracts.partners import Partner
from services.onec_gateway.domain.model import PartnerState


def partner_changed(
    _: PartnerState | None, message: Partner, __: Cause, ___: datetime, *, phone_key: Callable[[Partner], str | None]
) -> Decision[PartnerState | None]:
    """Replace the partner's state. `phone_key` returns the client key of the partner's phone, None if it is unknown."""
    return Decision(PartnerState(message, phone_key(message)))
