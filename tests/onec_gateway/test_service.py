"""The running gateway on real Kafka, real PostgreSQL and the simulator of 1C: from leads to 1C's journals."""

import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from contracts.partners import Partner
from contracts.person import Person
from contracts.portal import Agreement
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExtended,
    ReservationReinstated,
    ReservationReopened,
)
from tests.onec_gateway.harness import NAME, SEALER, Harness
from tests.process import until
from tests.simulators.tests.processes import ROOT, OneCSim
from tests.topics import publish

pytestmark = pytest.mark.infra

PHONE = "+79161234567"
REGISTER = "InformationRegister_ЖурналПартнеров"
ENQUIRIES = "Document_CRM_Интерес"
PHONES = "Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация"


async def test_client_goes_from_the_check_to_the_partner_journal_to_the_general_journal(
    gateway: Harness, sim: OneCSim
) -> None:
    await gateway.start()
    await gateway.add_partner("p1")

    lead = await gateway.submit(PHONE)
    confirmed = await gateway.verdict_of(lead)
    assert "confirmed_at" in confirmed
    fields = await gateway.open(lead, confirmed["confirmed_at"])
    (entry,) = await gateway.wait_for_journal()
    assert (entry["lead_id"], entry["full_name"], entry["phone"]) == (str(lead.lead_id), NAME, PHONE)
    assert (entry["partner"], entry["agreement"], entry["state"]) == ("Агентова Анна", "А-p1", "Активен")

    second = await gateway.verdict_of(await gateway.submit(PHONE, "p2"))
    assert (second["reason"], second["evidence"]) == ("held-by-partner", str(lead.lead_id))
    again = await gateway.verdict_of(await gateway.submit(PHONE, "p1"))
    assert again["reason"] == "already-yours"

    await gateway.expire(fields)

    async def handed_over() -> bool | None:
        return True if sim.get("general-journal") and sim.get("journal")[0]["state"] == "Истек" else None

    await until(handed_over, "the hand-over")
    (enquiry,) = sim.get("general-journal")
    assert enquiry["full_name"] == NAME


async def test_client_of_the_sales_office_is_rejected_as_known_to_builder(gateway: Harness, sim: OneCSim) -> None:
    known = sim.post("seed", {"full_name": NAME, "phone": PHONE, "date": "2026-01-10T12:00:00+03:00"})["clients"][0]
    await gateway.start()

    rejected = await gateway.verdict_of(await gateway.submit(PHONE))

    assert (rejected["reason"], rejected["evidence"]) == ("known-to-builder", known["enquiry_ref"])


async def test_lead_stays_under_review_while_1c_gives_no_answer(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    for fault in ("infobase_locked", "lock_conflict", "html_page", "session_expired"):
        sim.post("fault", {"mode": fault, "match": {"set": PHONES}, "count": 1})

    confirmed = await gateway.verdict_of(await gateway.submit(PHONE))

    assert "confirmed_at" in confirmed
    assert len(gateway.messages) == 1


async def test_journal_entry_waits_for_a_partner_that_is_not_known_yet(gateway: Harness) -> None:
    await gateway.start()
    lead = await gateway.submit(PHONE)
    await gateway.open(lead, (await gateway.verdict_of(lead))["confirmed_at"])

    async def waits() -> bool | None:
        return True if "partner-not-known-yet" in await notes(gateway) else None

    await until(waits, "the entry waits")
    await gateway.add_partner("p1")

    assert len(await gateway.wait_for_journal()) == 1


async def test_write_that_1c_refuses_is_parked_and_delays_no_verdict(gateway: Harness, sim: OneCSim) -> None:
    sim.post("fault", {"mode": "handler_error", "match": {"set": REGISTER}})
    await gateway.start()
    await gateway.add_partner("p1")
    lead = await gateway.submit(PHONE)
    await gateway.open(lead, (await gateway.verdict_of(lead))["confirmed_at"])

    async def parked() -> bool | None:
        return True if "parked" in await states(gateway) else None

    await until(parked, "the entry is parked")
    assert (await gateway.verdict_of(await gateway.submit(PHONE, "p2")))["reason"] == "held-by-partner"
    (note,) = await notes(gateway)
    assert note.startswith("refused (HTTP 500, код -1): Ошибка при выполнении обработчика - 'ПриЗаписи'")


async def test_partner_journal_shows_every_change_of_a_reservation(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    _, fields = await gateway.hold(PHONE)
    request = {"request_id": uuid.uuid4()}

    async def shows(state: str, through: date) -> None:
        async def there() -> bool | None:
            (entry,) = sim.get("journal")
            return (entry["state"], entry["reserved_through"]) == (state, through.isoformat()) or None

        await until(there, f"{state} through {through}")

    longer = {
        **fields,
        "reserved_through": fields["reserved_through"] + timedelta(days=181),
        "reserved_until": fields["reserved_until"] + timedelta(days=181),
    }
    await gateway.publish(ReservationExtended(**longer, **request, extended_at=datetime.now(UTC)))
    await shows("Активен", longer["reserved_through"])

    await gateway.publish(ReservationClosed(**longer, closed_at=datetime.now(UTC), outcome="won"))
    await shows("Продан", longer["reserved_through"])
    assert (await gateway.verdict_of(await gateway.submit(PHONE, "p2")))["reason"] == "already-sold"

    await gateway.publish(ReservationReopened(**longer, reopened_at=datetime.now(UTC)))
    await shows("Активен", longer["reserved_through"])

    await gateway.publish(ReservationClosed(**longer, closed_at=datetime.now(UTC), outcome="withdrawn"))
    await shows("Отозван", longer["reserved_through"])
    assert "confirmed_at" in await gateway.verdict_of(await gateway.submit(PHONE, "p2"))


async def test_expired_client_is_reinstated_and_held_again(gateway: Harness, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    lead, fields = await gateway.hold(PHONE)
    await gateway.expire(fields)
    about = {"lead_id": lead.lead_id, "client_key": lead.client_key, "partner_id": "p1", "request_id": uuid.uuid4()}

    await gateway.publish(ReinstatementRequested(**about, requested_at=datetime.now(UTC)))
    confirmed = await gateway.wait_for("reinstatement-confirmed")

    at = datetime.fromisoformat(confirmed["confirmed_at"])
    fresh = {
        **fields,
        "confirmed_at": at,
        "reserved_through": (at + timedelta(days=368)).date(),
        "reserved_until": at + timedelta(days=369),
    }
    await gateway.publish(ReservationReinstated(**fresh, request_id=about["request_id"], reinstated_at=at))

    async def back() -> bool | None:
        (entry,) = sim.get("journal")
        gone = all(row["deletion_mark"] for row in sim.get("general-journal"))
        return (
            gone and entry["state"] == "Активен" and entry["reserved_through"][:4] == f"{fresh['reserved_through']:%Y}"
        ) or None

    await until(back, "the client is back in the partner journal")
    assert (await gateway.verdict_of(await gateway.submit(PHONE, "p2")))["reason"] == "held-by-partner"


async def test_late_sale_and_its_cancellation_leave_the_client_active_in_one_journal(
    gateway: Harness, sim: OneCSim
) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    _, fields = await gateway.hold(PHONE)
    now = datetime.now(UTC)

    async def becomes(state: str, *deleted: bool) -> None:
        async def shown() -> bool | None:
            (entry,) = sim.get("journal")
            marks = sorted(row["deletion_mark"] for row in sim.get("general-journal"))
            return (entry["state"], tuple(marks)) == (state, deleted) or None

        await until(shown, f"{state}, deleted: {deleted}")

    await gateway.expire(fields)
    await becomes("Истек", False)
    await gateway.publish(ReservationClosed(**fields, closed_at=now, outcome="won", corrects="expired"))
    await becomes("Продан", True)
    await gateway.publish(ReservationReopened(**fields, reopened_at=now))
    await gateway.expire(fields)
    await becomes("Истек", False, True)

    await gateway.publish(ReservationClosed(**fields, closed_at=now, outcome="withdrawn"))
    await becomes("Отозван", True, True)


async def test_delayed_check_is_published_once(gateway: Harness, sim: OneCSim) -> None:
    gateway.settings["ONEC_CHECK_DELAYED_AFTER"] = "PT1S"
    await gateway.start()
    sim.post("fault", {"mode": "lock_conflict", "match": {"set": PHONES}})
    lead = await gateway.submit(PHONE)

    assert (await gateway.wait_for("lead-check-delayed"))["lead_id"] == str(lead.lead_id)

    sim.post("fault", {"mode": "none"})
    assert "confirmed_at" in await gateway.verdict_of(lead)
    assert len(gateway.received("lead-check-delayed")) == 1


async def test_partners_and_staff_are_not_clients(gateway: Harness, sim: OneCSim) -> None:
    sim.post("office", {"action": "employ", "full_name": "Сотрудников Сидор", "phone": "8 916 765-43-21"})
    await gateway.start()
    await gateway.add_partner("p1")

    async def known() -> bool | None:
        found = await gateway.query("SELECT ref FROM facts WHERE kind = 'insider'")
        return {row["ref"] for row in found} == {"partner:p1", "staff"} or None

    await until(known, "the phones of partners and staff are known")
    for phone in ("+79160000001", "+79167654321"):
        assert (await gateway.verdict_of(await gateway.submit(phone)))["reason"] == "not-a-client"


async def test_gateway_with_a_wrong_mapping_logs_the_mistake_and_writes_nothing(
    gateway: Harness, sim: OneCSim, tmp_path: Path
) -> None:
    text = (ROOT / "services/onec_gateway/onec/mapping.toml").read_text()
    file = tmp_path / "mapping.toml"
    file.write_text(text.replace('state = "Состояние"', 'state = "Состояниа"'))
    gateway.settings["ONEC_MAPPING_FILE"] = str(file)
    instance = await gateway.start(wait=False)

    async def logged() -> bool | None:
        return "похожи: Состояние" in gateway.logs or None

    await until(logged, "the mistake is in the log")
    await gateway.add_partner("p1")
    lead = await gateway.submit(PHONE)
    assert instance.process.poll() is None
    await gateway.receive()
    assert gateway.messages == []
    assert not any(call["committed"] for call in sim.get("calls"))
    assert lead.number == 1


async def test_racing_partners_get_exactly_one_confirmation(gateway: Harness) -> None:
    leads = [await gateway.submit(f"+7916123{n % 7:04d}", f"p{n}") for n in range(35)]
    await gateway.start()

    verdicts = [await gateway.verdict_of(lead) for lead in leads]

    assert ["confirmed_at" in verdict for verdict in verdicts] == [n < 7 for n in range(35)]
    assert len(gateway.messages) == 35


async def test_names_and_phones_are_readable_neither_in_logs_nor_at_rest(gateway: Harness) -> None:
    await gateway.start()
    await gateway.add_partner("p1")
    lead = await gateway.submit(PHONE)
    await gateway.open(lead, (await gateway.verdict_of(lead))["confirmed_at"])
    await gateway.wait_for_journal()

    kept = gateway.logs + str(gateway.messages) + await dump(gateway)
    assert '"operation":"check"' in gateway.logs
    for secret in (NAME, "Клиентов", "9161234567", "Агентова"):
        assert secret not in kept


# This test is the last: Kafka keeps the dead member in the consumer group for ten seconds.


async def test_gateway_killed_between_a_write_and_its_answer_writes_once(gateway: Harness, sim: OneCSim) -> None:
    first = await gateway.start()
    await gateway.add_partner("p1")
    lead = await gateway.submit(PHONE)
    confirmed = await gateway.verdict_of(lead)
    # 1C has the entry, its answer is lost, and the gateway is killed before it can look.
    sim.post("fault", {"mode": "commit_then_drop", "match": {"set": REGISTER}})
    await gateway.open(lead, confirmed["confirmed_at"])
    await gateway.wait_for_journal()
    first.kill()
    sim.post("fault", {"mode": "none"})
    # Work rows need no Kafka, which still waits for the dead member of the group.
    await gateway.start(wait=False)

    async def settled() -> bool | None:
        return True if "waiting" not in await states(gateway) else None

    await until(settled, "the entry is settled")
    assert len(sim.get("journal")) == 1


async def states(gateway: Harness) -> list[str]:
    return [row["state"] for row in await gateway.query("SELECT state FROM work")]


async def notes(gateway: Harness) -> list[str]:
    return [row["note"] for row in await gateway.query("SELECT note FROM work WHERE note IS NOT NULL")]


async def dump(gateway: Harness) -> str:
    tables = (
        "leads",
        "holds",
        "known_reservations",
        "facts",
        "exchanges",
        "partners",
        "work",
        "streams",
        "inbox",
        "outbox",
    )
    return "".join([str(await gateway.query(f"SELECT t::text FROM {table} t")) for table in tables])


async def test_older_state_of_a_partner_never_replaces_a_newer_one(gateway: Harness) -> None:
    await gateway.start()
    newer, older = (
        Partner(
            partner_id="p1",
            person=SEALER.seal(Person("Агентова Анна", phone, phone), "p1"),
            agreement=Agreement(number=number, signed_on=date(2026, 1, 15)),
            status="active",
        )
        for number, phone in (("А-7", "+79160000007"), ("А-6", "+79160000006"))
    )
    await publish(gateway.bootstrap, [newer], source="/truce/intake", sequence=7)
    await publish(gateway.bootstrap, [older], source="/truce/intake", sequence=6)

    async def read() -> bool | None:
        return True if "state_superseded" in gateway.logs else None

    await until(read, "the older state is read")
    connection = await asyncpg.connect(gateway.database)
    try:
        assert await connection.fetchval("SELECT agreement_number FROM partners WHERE partner_id = 'p1'") == "А-7"
        assert await connection.fetchval("SELECT count(*) FROM facts WHERE kind = 'insider'") == 1
    finally:
        await connection.close()
