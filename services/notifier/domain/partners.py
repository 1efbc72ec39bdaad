"""What a partner's message on topic `partners` changes."""

from datetime import datetime

from chassis.decision import Cause, Decision
from contracts.partners import Partner
from services.notifier.domain.model import PartnerState


def partner_changed(
    known: PartnerState | None, partner: Partner, _: Cause, __: datetime
) -> Decision[PartnerState | None]:
    """The latest message about a partner wins. The topic keeps the messages of one partner in order."""
    latest = PartnerState(partner.partner_id, partner.person, partner.status)
    return Decision(known if known == latest else latest)
