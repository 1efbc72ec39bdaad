"""Topic `partners`: who may submit clients. Compacted; the key is the partner id; only intake publishes to it."""

from typing import ClassVar

from contracts import topics
from contracts.base import Message, PartnerId, PartnerStatus, Sealed
from contracts.portal import Agreement


class Partner(Message):
    """The present state of a partner. `person` is sealed and bound to the partner id."""

    ce_type: ClassVar[str] = "partner.v1"
    topic: ClassVar[str] = topics.PARTNERS
    is_state: ClassVar[bool] = True

    partner_id: PartnerId
    person: Sealed
    agreement: Agreement
    status: PartnerStatus

    @property
    def key(self) -> str:
        return self.partner_id
