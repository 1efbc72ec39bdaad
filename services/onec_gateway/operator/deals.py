"""`deals` and `deals link`: sales in 1C, and linking a sale to a lead by hand."""

from typing import Annotated, Final
from uuid import UUID

import typer

from chassis.clock import Clock
from chassis.service import Input
from services.onec_gateway.domain.inputs import NotApplied, SaleSeen
from services.onec_gateway.domain.model import Sale
from services.onec_gateway.operator.common import (
    Json,
    Limit,
    Who,
    Why,
    cause_of,
    client_key_of,
    day,
    decide,
    fail,
    print_result,
    read,
    read_as_dicts,
    refuse,
    show,
)

_SALES: Final = """
    SELECT ref, number, amount, currency, contract_number, sold_on, cancelled, seen_at, lead_id
    FROM sales WHERE $1 OR lead_id IS NULL ORDER BY seen_at DESC LIMIT $2
"""
_SALE: Final = "SELECT * FROM sales WHERE ref = $1"
_RESERVATION: Final = "SELECT reserved_through FROM known_reservations WHERE lead_id = $1"
_LINK: Final = "UPDATE sales SET lead_id = $2, client_key = $3 WHERE ref = $1 RETURNING ref"


def deals(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="показать и продажи, уже связанные с лидами")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Показать продажи, которые не связаны ни с одним лидом."""
    if context.invoked_subcommand is not None:
        return
    show(
        ("ссылка", "номер", "сумма", "валюта", "договор", "дата", "отменена", "лид"),
        read_as_dicts(_SALES, everything, limit),
        lambda row: (
            row["ref"],
            row["number"],
            row["amount"],
            row["currency"],
            row["contract_number"],
            day(row["sold_on"]),
            "да" if row["cancelled"] else "",
            row["lead_id"],
        ),
        as_json,
        empty="продаж в 1С не найдено" if everything else "продаж без лида нет",
    )


def link(
    deal: Annotated[str, typer.Argument(help="ссылка продажи из deals")],
    lead: Annotated[UUID, typer.Option(help="лид, по которому состоялась продажа")],
    who: Who,
    why: Why,
    as_json: Json = False,
) -> None:
    """Связать продажу с лидом вручную, например если договор подписал родственник клиента."""
    found = read(_SALE, deal)
    if not found:
        fail(f"продажи {deal} нет: см. deals --all")
    row = found[0]
    if row.lead_id is not None:
        refuse(NotApplied("already-linked", lead_id=row.lead_id), lead, as_json)
    key = client_key_of(lead)
    sale = Sale(row.ref, row.amount, row.currency, row.contract_number, row.sold_on, row.cancelled)
    reply = decide(Input(key, SaleSeen(sale, Clock().now(), lead, who, why), cause_of("sale", deal)))
    if isinstance(reply, NotApplied):
        refuse(reply, lead, as_json)
    read(_LINK, deal, lead, key)
    reservations = read(_RESERVATION, lead)
    through = reservations[0].reserved_through if reservations else None
    result = {
        "deal": deal,
        "status": "linked",
        "lead_id": lead,
        "sold_on": row.sold_on,
        "reserved_through": through,
        "linked_by": who,
        "linked_why": why,
    }
    term = f"закрепление по {day(through)}" if through is not None else "закрепление ещё не открыто"
    lines = [
        f"продажа {deal}",
        f"связана с лидом {lead}",
        f"договор от {day(row.sold_on)}, {term}",
        f"решил {who}: {why}",
    ]
    print_result(result, lines, as_json)
