"""What waits in the gateway beside dead letters and parked calls: checked leads without a verdict."""

from collections.abc import Iterator
from typing import Any, Final

from chassis.commands.waiting import Desk, Waiting

_UNDECIDED: Final = """
    SELECT l.lead_id, l.partner_id, l.received_at, l.checked_at, jsonb_array_length(l.enquiries) AS enquiries,
           l.waits_for, jsonb_path_query_array(l.cards, '$[*].ref')::text AS cards,
           (SELECT e.lead_id FROM leads e, jsonb_array_elements(l.cards) AS card
            WHERE e.client_key IN (SELECT jsonb_array_elements_text(card->'phones')) AND e.decided_at IS NULL
              AND (e.received_at, e.number) < (l.received_at, l.number)
            ORDER BY e.received_at, e.number LIMIT 1) AS earlier
    FROM leads l WHERE l.decided_at IS NULL AND l.checked_at IS NOT NULL ORDER BY l.received_at
"""
_RULE: Final = " (подтвердить: --confirm, отказать: --reject)"


def leads_under_review(desk: Desk) -> Iterator[Waiting]:
    """The leads that the rules leave to people, and those that wait for other leads or for the first complete read."""
    for row in desk.select(_UNDECIDED):
        code, why, command = _why(desk, row)
        yield Waiting(
            code,
            f"лид {row.lead_id} партнёра {row.partner_id}",
            row.checked_at,
            why,
            command,
            {
                "lead_id": row.lead_id,
                "partner_id": row.partner_id,
                "received_at": row.received_at.isoformat(),
                "waits_for": row.waits_for,
            },
        )


def _why(desk: Desk, row: Any) -> tuple[str, str, str]:
    """The code, the reason, and the command that frees the lead."""
    release = f"{desk.program} release {row.lead_id} --confirm --who ИМЯ --why ПРИЧИНА"
    cards = ", ".join(row.cards.strip("[]").replace('"', "").split(", "))
    match row.waits_for:
        case "baseline":
            why = "неясно, с какого времени есть карточка: шлюз впервые читает все карточки 1С, решится само"
            return "lead-waits-for-cards", why, f"{desk.program} exchanges --failed"
        case "earlier-lead":
            why = f"на карточке {cards} есть другой телефон, и его лид раньше: {row.earlier}, решится после него"
            return "lead-waits-for-lead", why, f"{desk.program} waiting"
        case "same-card":
            why = f"решает менеджер: другой телефон карточки {cards} закреплён за другим партнёром{_RULE}"
        case _ if row.enquiries:
            why = f"решает менеджер: обращений в 1С около времени получения: {row.enquiries}{_RULE}"
        case _:
            why = f"решает менеджер: неясно, раньше ли лида карточка {cards}{_RULE}"
    return "lead-under-review", why, release
