"""What waits for people in the gateway beside dead letters and parked calls: leads that a manager decides."""

from collections.abc import Iterator
from typing import Final

from chassis.commands.waiting import Desk, Waiting

_UNDECIDED: Final = """
    SELECT lead_id, partner_id, received_at, checked_at, jsonb_array_length(enquiries) AS enquiries
    FROM leads WHERE decided_at IS NULL AND checked_at IS NOT NULL ORDER BY received_at
"""


def leads_under_review(desk: Desk) -> Iterator[Waiting]:
    """The leads that the rules leave to people."""
    for row in desk.select(_UNDECIDED):
        yield Waiting(
            "lead-under-review",
            f"лид {row.lead_id} партнёра {row.partner_id}",
            row.checked_at,
            f"решает менеджер: обращений в 1С около времени получения: {row.enquiries} (подтвердить: --confirm,"
            " отказать: --reject)",
            f"{desk.program} release {row.lead_id} --confirm --who ИМЯ --why ПРИЧИНА",
            {"lead_id": row.lead_id, "partner_id": row.partner_id, "received_at": row.received_at.isoformat()},
        )
