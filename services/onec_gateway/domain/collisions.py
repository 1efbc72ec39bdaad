"""Collisions that were published to the partner manager, and who has seen them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.verdicts import CollisionKind

First = Literal["lead", "enquiry", "unclear"]
Clock = Literal["truce", "1c"]


@dataclass(frozen=True, slots=True)
class Collision:
    """A collision that was published. `id` is that of its event.

    `first`: who was first, and `clock`: by whose clock, `truce` or `1c`. `seen_at` and `seen_by`: when the first person
    acknowledged it and who; None before. `card`: 1C's reference of the card that collides in place of an enquiry; then
    `enquiry` is the same, and `enquiry_date` is since when the client is on the card. `other_lead_id` and
    `other_partner_id`: who holds another client on the card.
    """

    id: UUID
    lead_id: UUID
    partner_id: str
    kind: CollisionKind
    enquiry: str
    enquiry_number: str
    enquiry_date: datetime
    received_at: datetime
    detected_at: datetime
    first_seen_at: datetime
    first: First
    clock: Clock
    not_there_at: datetime | None = None
    was_dated: datetime | None = None
    in_1c_at: datetime | None = None
    alive_at: datetime | None = None
    seen_at: datetime | None = None
    seen_by: str | None = None
    card: str | None = None
    other_lead_id: UUID | None = None
    other_partner_id: str | None = None
