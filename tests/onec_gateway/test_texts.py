"""Control characters in 1C's texts: they stop nothing and park no client, and a comment keeps them in 1C."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.onec_gateway.onec import answers
from services.onec_gateway.onec.errors import OneCError
from services.onec_gateway.onec.rows import line, string
from tests.onec_gateway.harness import Harness
from tests.process import until
from tests.simulators.tests.processes import OneCSim

PHONE = "+79161234567"
COMMENT = "звонил\x00\tвчера\r\nперезвонить\x1b"


def test_a_stored_text_of_1c_has_a_space_for_each_control_character() -> None:
    row = {"Номер": "0000\x00-0001\r\n\x85ё"}

    assert line(row, "Номер") == "0000 -0001   ё"
    assert string(row, "Номер") == row["Номер"]


def test_code_and_message_of_an_error_hold_nothing_that_a_table_or_a_terminal_cannot() -> None:
    body = {"odata.error": {"code": "8\x00\x1b[2J" + "9" * 500, "message": {"value": "Ошибка\x00 записи\x1b[31m\x9b"}}}

    with pytest.raises(OneCError) as refused:
        answers.read(500, json.dumps(body).encode())

    assert refused.value.code is not None
    assert refused.value.text is not None
    assert len(refused.value.code) <= 40
    assert all(character.isprintable() for character in refused.value.code + refused.value.text)


@pytest.mark.infra
async def test_nul_in_1cs_texts_parks_no_client_and_stops_no_watch(gateway: Harness, sim: OneCSim) -> None:
    sim.post("seed", {"full_name": "Первый Пётр", "phone": "+79035550000"})
    await gateway.start()
    await gateway.add_partner("p1")
    lead, _ = await gateway.hold(PHONE)
    later = datetime.now(UTC) + timedelta(hours=1)
    order = {"full_name": "Клиентов Клим", "phone": PHONE, "date": later.isoformat(), "comment": COMMENT}
    (walk_in,) = sim.post("seed", {"clients": [order]})["clients"]
    sim.post(
        "office",
        {"action": "sell", "client_ref": walk_in["client_ref"], "amount": 500, "contract_number": "ДДУ\x00-9\x1b"},
    )

    closed = await gateway.wait_for("deal-closed")

    assert (closed["lead_id"], closed["contract_number"]) == (str(lead.lead_id), "ДДУ -9 ")
    await gateway.wait_for("collision-detected")

    async def marked() -> str | None:
        rows: list[dict[str, Any]] = sim.get("general-journal")
        comment: str = next(row for row in rows if row["ref"] == walk_in["enquiry_ref"])["comment"]
        return comment if comment.startswith("[") else None

    assert (await until(marked, "the mark on the enquiry")).endswith(COMMENT)
    assert (await gateway.query("SELECT count(*) AS n FROM parked"))[0]["n"] == 0
    assert (await gateway.query("SELECT count(*) AS n FROM work WHERE state = 'parked'"))[0]["n"] == 0
    assert '"finding_not_decided"' not in gateway.logs
