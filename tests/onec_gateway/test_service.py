"""The gateway on real Kafka, real PostgreSQL and the simulator of 1C."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from chassis.migrations import upgrade
from contracts.reservations import (
    ReinstatementRequested,
    ReservationClosed,
    ReservationExtended,
    ReservationReinstated,
    ReservationReopened,
)
from tests.infra import DatabaseFactory
from tests.onec_gateway.process import NAME, Gateway, listening
from tests.process import until
from tests.simulators.tests.processes import ROOT, OneCSim

pytestmark = pytest.mark.infra

PHONE = "+79161234567"
REGISTER = "InformationRegister_ЖурналПартнеров"
ENQUIRIES = "Document_CRM_Интерес"
PHONES = "Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация"


@pytest.fixture
async def gateway(
    fresh_topics: str, database_factory: DatabaseFactory, sim: OneCSim, tmp_path: Path
) -> AsyncIterator[Gateway]:
    database = database_factory(
        "onec_gateway", lambda url: upgrade(url, ROOT / "services" / "onec_gateway" / "migrations")
    )
    async with AIOKafkaProducer(bootstrap_servers=fresh_topics) as producer, listening(fresh_topics) as consumer:
        gateway = Gateway(fresh_topics, database, sim, tmp_path, producer, consumer)
        yield gateway
        gateway.stop()


async def test_client_goes_from_check_to_journal_to_the_general_journal(gateway: Gateway, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.partner("p1")

    lead = await gateway.lead(PHONE)
    confirmed = await gateway.verdict(lead)
    assert "confirmed_at" in confirmed
    terms = await gateway.opened(lead, confirmed["confirmed_at"])
    (entry,) = await gateway.journal()
    assert (entry["lead_id"], entry["full_name"], entry["phone"]) == (str(lead.lead_id), NAME, PHONE)
    assert (entry["partner"], entry["agreement"], entry["state"]) == ("Агентова Анна", "А-p1", "Активен")

    second = await gateway.verdict(await gateway.lead(PHONE, "p2"))
    assert (second["reason"], second["evidence"]) == ("held-by-partner", str(lead.lead_id))
    again = await gateway.verdict(await gateway.lead(PHONE, "p1"))
    assert again["reason"] == "already-yours"

    await gateway.expired(terms)

    async def handed_over() -> bool | None:
        return True if sim.get("general-journal") and sim.get("journal")[0]["state"] == "Истек" else None

    await until(handed_over, "the hand-over")
    (enquiry,) = sim.get("general-journal")
    assert enquiry["full_name"] == NAME


async def test_client_of_the_sales_office_is_known_to_the_builder(gateway: Gateway, sim: OneCSim) -> None:
    known = sim.post("seed", {"full_name": NAME, "phone": PHONE, "date": "2026-01-10T12:00:00+03:00"})["clients"][0]
    await gateway.start()

    rejected = await gateway.verdict(await gateway.lead(PHONE))

    assert (rejected["reason"], rejected["evidence"]) == ("known-to-builder", known["enquiry_ref"])


async def test_lead_stays_under_review_while_1c_gives_no_answer(gateway: Gateway, sim: OneCSim) -> None:
    await gateway.start()
    for fault in ("infobase_locked", "lock_conflict", "html_page", "session_expired"):
        sim.post("fault", {"mode": fault, "match": {"set": PHONES}, "count": 1})

    confirmed = await gateway.verdict(await gateway.lead(PHONE))

    assert "confirmed_at" in confirmed
    assert len(gateway.verdicts) == 1


async def test_journal_entry_waits_for_a_partner_not_known_yet(gateway: Gateway) -> None:
    await gateway.start()
    lead = await gateway.lead(PHONE)
    await gateway.opened(lead, (await gateway.verdict(lead))["confirmed_at"])

    async def waits() -> bool | None:
        return True if "partner-not-known-yet" in await notes(gateway) else None

    await until(waits, "the entry waits")
    await gateway.partner("p1")

    assert len(await gateway.journal()) == 1


async def test_business_refusal_of_a_write_is_parked_and_holds_up_no_verdict(gateway: Gateway, sim: OneCSim) -> None:
    sim.post("fault", {"mode": "handler_error", "match": {"set": REGISTER}})
    await gateway.start()
    await gateway.partner("p1")
    lead = await gateway.lead(PHONE)
    await gateway.opened(lead, (await gateway.verdict(lead))["confirmed_at"])

    async def parked() -> bool | None:
        return True if "parked" in await states(gateway) else None

    await until(parked, "the entry is parked")
    assert (await gateway.verdict(await gateway.lead(PHONE, "p2")))["reason"] == "held-by-partner"
    (note,) = await notes(gateway)
    assert note.startswith("refused (HTTP 500, код -1): Ошибка при выполнении обработчика - 'ПриЗаписи'")


async def test_what_becomes_of_a_reservation_stands_in_the_partner_journal(gateway: Gateway, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.partner("p1")
    _, terms = await gateway.held(PHONE)
    request = {"request_id": uuid.uuid4()}

    async def says(state: str, through: date) -> None:
        async def there() -> bool | None:
            (entry,) = sim.get("journal")
            return (entry["state"], entry["reserved_through"]) == (state, through.isoformat()) or None

        await until(there, f"{state} through {through}")

    longer = {
        **terms,
        "reserved_through": terms["reserved_through"] + timedelta(days=181),
        "reserved_until": terms["reserved_until"] + timedelta(days=181),
    }
    await gateway.say(ReservationExtended(**longer, **request, extended_at=datetime.now(UTC)))
    await says("Активен", longer["reserved_through"])

    await gateway.say(ReservationClosed(**longer, closed_at=datetime.now(UTC), outcome="won"))
    await says("Продан", longer["reserved_through"])
    assert (await gateway.verdict(await gateway.lead(PHONE, "p2")))["reason"] == "already-sold"

    await gateway.say(ReservationReopened(**longer, reopened_at=datetime.now(UTC)))
    await says("Активен", longer["reserved_through"])

    await gateway.say(ReservationClosed(**longer, closed_at=datetime.now(UTC), outcome="withdrawn"))
    await says("Отозван", longer["reserved_through"])
    assert "confirmed_at" in await gateway.verdict(await gateway.lead(PHONE, "p2"))


async def test_expired_client_is_returned_unless_somebody_else_holds_it(gateway: Gateway, sim: OneCSim) -> None:
    await gateway.start()
    await gateway.partner("p1")
    lead, terms = await gateway.held(PHONE)
    await gateway.expired(terms)
    about = {"lead_id": lead.lead_id, "client_key": lead.client_key, "partner_id": "p1", "request_id": uuid.uuid4()}

    await gateway.say(ReinstatementRequested(**about, requested_at=datetime.now(UTC)))
    confirmed = await gateway.heard("reinstatement-confirmed")

    at = datetime.fromisoformat(confirmed["confirmed_at"])
    fresh = {
        **terms,
        "confirmed_at": at,
        "reserved_through": (at + timedelta(days=368)).date(),
        "reserved_until": at + timedelta(days=369),
    }
    await gateway.say(ReservationReinstated(**fresh, request_id=about["request_id"], reinstated_at=at))

    async def back() -> bool | None:
        (entry,) = sim.get("journal")
        gone = all(row["deletion_mark"] for row in sim.get("general-journal"))
        return (
            gone and entry["state"] == "Активен" and entry["reserved_through"][:4] == f"{fresh['reserved_through']:%Y}"
        ) or None

    await until(back, "the client is back in the partner journal")
    assert (await gateway.verdict(await gateway.lead(PHONE, "p2")))["reason"] == "held-by-partner"


async def test_lead_that_waits_for_long_is_told_to_be_delayed_once(gateway: Gateway, sim: OneCSim) -> None:
    gateway.settings["ONEC_CHECK_DELAYED_AFTER"] = "PT1S"
    await gateway.start()
    sim.post("fault", {"mode": "lock_conflict", "match": {"set": PHONES}})
    lead = await gateway.lead(PHONE)

    assert (await gateway.heard("lead-check-delayed"))["lead_id"] == str(lead.lead_id)

    sim.post("fault", {"mode": "none"})
    assert "confirmed_at" in await gateway.verdict(lead)
    assert len(gateway.told("lead-check-delayed")) == 1


async def test_partners_and_staff_are_not_clients(gateway: Gateway, sim: OneCSim) -> None:
    sim.post("office", {"action": "employ", "full_name": "Сотрудников Сидор", "phone": "8 916 765-43-21"})
    await gateway.start()
    await gateway.partner("p1")

    async def known() -> bool | None:
        found = await gateway.query("SELECT ref FROM facts WHERE kind = 'insider'")
        return {row["ref"] for row in found} == {"partner:p1", "staff"} or None

    await until(known, "whose phones these are is known")
    for phone in ("+79160000001", "+79167654321"):
        assert (await gateway.verdict(await gateway.lead(phone)))["reason"] == "not-a-client"


async def test_gateway_with_a_wrong_mapping_writes_nothing_and_says_what_is_wrong(
    gateway: Gateway, sim: OneCSim, tmp_path: Path
) -> None:
    text = (ROOT / "services/onec_gateway/onec/mapping.toml").read_text()
    file = tmp_path / "mapping.toml"
    file.write_text(text.replace('state = "Состояние"', 'state = "Состояниа"'))
    gateway.settings["ONEC_MAPPING_FILE"] = str(file)
    instance = await gateway.start(wait=False)

    async def said() -> bool | None:
        return "похожи: Состояние" in gateway.logs or None

    await until(said, "the mistake is named")
    await gateway.partner("p1")
    lead = await gateway.lead(PHONE)
    assert instance.process.poll() is None
    await gateway.listen()
    assert gateway.verdicts == []
    assert not any(call["committed"] for call in sim.get("calls"))
    assert lead.number == 1


async def test_racing_partners_get_exactly_one_confirmation(gateway: Gateway) -> None:
    leads = [await gateway.lead(f"+7916123{n % 7:04d}", f"p{n}") for n in range(35)]
    await gateway.start()

    verdicts = [await gateway.verdict(lead) for lead in leads]

    assert ["confirmed_at" in verdict for verdict in verdicts] == [n < 7 for n in range(35)]
    assert len(gateway.verdicts) == 35


async def test_names_and_phones_are_in_clear_neither_in_logs_nor_at_rest(gateway: Gateway) -> None:
    await gateway.start()
    await gateway.partner("p1")
    lead = await gateway.lead(PHONE)
    await gateway.opened(lead, (await gateway.verdict(lead))["confirmed_at"])
    await gateway.journal()

    kept = gateway.logs + str(gateway.verdicts) + await dump(gateway)
    assert '"operation":"check"' in gateway.logs
    for secret in (NAME, "Клиентов", "9161234567", "Агентова"):
        assert secret not in kept


# The last one: Kafka remembers the dead member for ten seconds.


async def test_killed_between_the_write_and_its_answer_writes_once(gateway: Gateway, sim: OneCSim) -> None:
    first = await gateway.start()
    await gateway.partner("p1")
    lead = await gateway.lead(PHONE)
    confirmed = await gateway.verdict(lead)
    # 1C has the entry, its answer is lost, and the gateway dies before it can ask again.
    sim.post("fault", {"mode": "commit_then_drop", "match": {"set": REGISTER}})
    await gateway.opened(lead, confirmed["confirmed_at"])
    await gateway.journal()
    first.kill()
    sim.post("fault", {"mode": "none"})
    # Its work needs no Kafka, which still waits for the dead member of the group.
    await gateway.start(wait=False)

    async def settled() -> bool | None:
        return True if "waiting" not in await states(gateway) else None

    await until(settled, "the entry is settled")
    assert len(sim.get("journal")) == 1


async def states(gateway: Gateway) -> list[str]:
    return [row["state"] for row in await gateway.query("SELECT state FROM work")]


async def notes(gateway: Gateway) -> list[str]:
    return [row["note"] for row in await gateway.query("SELECT note FROM work WHERE note IS NOT NULL")]


async def dump(gateway: Gateway) -> str:
    tables = ("leads", "holds", "terms", "facts", "exchanges", "partners", "work", "streams", "inbox", "outbox")
    return "".join([str(await gateway.query(f"SELECT t::text FROM {table} t")) for table in tables])
