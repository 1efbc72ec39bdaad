"""Shared by the tests of the 1C adapter: a reserved client, and enquiries that the sales office enters in 1C."""

from datetime import UTC, date, datetime
from typing import Any

from services.onec_gateway.onec.exchange import Call
from services.onec_gateway.onec.partner_journal import Entry
from tests.simulators.tests.processes import OneCSim

CALL = Call("test", ("lead",))
PHONE = "+79161234567"
ENTRY = Entry(
    lead_id="00000000-0000-0000-0000-000000000001",
    full_name="Иванов-О'Нил Пётр",
    phone=PHONE,
    partner_id="p-1",
    partner="Агентова Анна",
    agreement="А-17/26",
    confirmed_at=datetime(2026, 3, 14, 21, 30, tzinfo=UTC),
    reserved_through=date(2026, 9, 15),
)
EXPIRED_AT = datetime(2026, 9, 15, 21, tzinfo=UTC)


def enquiry(sim: OneCSim, phone: str = PHONE, form: str = "", when: str = "2026-03-14T12:00:00+03:00") -> Any:
    """A direct enquiry that a sales manager enters: its references, number and date."""
    order = {"full_name": "Клиентов Клим", "phone": phone, "form": form, "date": when}
    (entered,) = sim.post("seed", {"clients": [order]})["clients"]
    return entered
