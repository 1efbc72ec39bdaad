"""The notifier as a process, with real Kafka and PostgreSQL and the SMS simulator."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from chassis.service import Database
from contracts.person import Person
from services.notifier.store.pace import grant
from tests.notifier.harness import Harness, wait_until
from tests.notifier.samples import (
    BUYER,
    MOSCOW,
    REALTOR,
    accrued,
    claim_accepted,
    closed,
    expiring,
    extended,
    key_of,
    opened,
    partner,
    rejected,
)
from tests.topics import publish

pytestmark = pytest.mark.infra

OTHER_REALTOR = Person.parse("Сидоров Олег Петрович", "+79039998877")


def sent_calls(harness: Harness) -> list[str]:
    return [call["path"] for call in harness.sms.get("calls") if call["path"] == "/rest/send/"]


async def test_each_event_is_one_sms_however_often_it_is_read(harness: Harness) -> None:
    await harness.start()
    # The partners come last, because their topic may lag behind the others.
    await harness.publish(opened(1), opened(4, "p2"), times=3)
    await harness.publish(rejected(2, "p2"), rejected(3, "p1", "already-yours"), times=2)
    await harness.publish(partner("p1"), partner("p2", OTHER_REALTOR))
    statuses = await harness.statuses(4)

    assert sorted((status.template, status.status, status.partner_id) for status in statuses) == [
        ("already-yours.v1", "sent", "p1"),
        ("confirmed.v1", "sent", "p1"),
        ("confirmed.v1", "sent", "p2"),
        ("rejected.v1", "sent", "p2"),
    ]
    assert sorted((message["to"], message["text"]) for message in harness.sms.get("messages")) == [
        (REALTOR.phone, "Клиент Иванов И. закреплён за вами до 24.05.2027 включительно. Заявка 0001."),
        (REALTOR.phone, "Клиент Иванов И. уже закреплён за вами. Заявка 0003."),
        (OTHER_REALTOR.phone, "Клиент Иванов И. закреплён за вами до 24.05.2027 включительно. Заявка 0004."),
        (OTHER_REALTOR.phone, "Клиент Иванов И.: отказ, клиент уже в работе. Заявка 0002."),
    ]
    assert {row["state"] for row in await harness.rows("SELECT state FROM work")} == {"done"}


async def test_the_sms_about_one_client_keep_their_order(harness: Harness) -> None:
    await harness.start()
    harness.sms.post("fault", {"mode": "slow", "seconds": 1, "count": 1})
    await harness.publish(partner("p1"), claim_accepted(), accrued("1500.00"), accrued("-200.00"))
    await wait_until(lambda: harness.texts(), "the first SMS")
    statuses = await harness.statuses(3 if "принят" in harness.texts()[0] else 2)

    assert [status.template for status in statuses][-2:] == ["accrued.v1", "corrected.v1"]
    assert ["исправлено" in text for text in harness.texts()][-2:] == [False, True]


async def test_an_extension_at_night_drops_the_reminder_that_was_due_in_the_morning(harness: Harness) -> None:
    midnight = datetime(2027, 5, 18, 0, 1, tzinfo=MOSCOW)
    harness.move_clock(midnight)
    await harness.start(QUIET_HOURS="21:00-09:00")
    await harness.publish(partner("p1"), expiring(days_left=7))
    await harness.publish(rejected(2))
    assert [status.template for status in await harness.statuses(1)] == ["rejected.v1"]
    await harness.wait_for_row("SELECT 1 FROM messages WHERE template = 'expiring.v1' AND status = 'scheduled'")

    await harness.publish(extended())
    await harness.wait_for_row("SELECT 1 FROM messages WHERE template = 'extended.v1'")
    harness.move_clock(midnight + timedelta(hours=9))

    assert [status.template for status in await harness.statuses(2)] == ["rejected.v1", "extended.v1"]
    assert [text.partition(":")[2][:24] for text in harness.texts()] == [
        " отказ, клиент уже в раб",
        " закрепление продлено до",
    ]
    [reminder] = await harness.rows("SELECT status, detail FROM messages WHERE template = 'expiring.v1'")
    assert tuple(reminder) == ("dropped", "superseded")


async def test_an_sms_that_became_untrue_during_an_outage_is_not_sent(harness: Harness) -> None:
    harness.sms.post("fault", {"mode": "refuse", "code": 3})
    await harness.start()
    await harness.publish(partner("p1"), closed("won"), rejected(2))
    await harness.wait_for_row("SELECT 1 FROM messages HAVING count(*) = 2")
    await harness.wait_for_row("SELECT 1 FROM providers WHERE disabled_code = '3' AND disabled_until > now()")
    for instance in harness.instances:
        assert instance.terminate() == 0
    harness.sms.post("fault", {"mode": "none"})
    harness.move_clock(datetime.now(UTC) + timedelta(days=8))
    await harness.rows("UPDATE work SET due_at = now()")
    await harness.rows("UPDATE providers SET disabled_until = now()")
    await harness.start(wait=False)
    await harness.wait_for_row("SELECT 1 FROM messages HAVING count(*) FILTER (WHERE status = 'dropped') = 2")

    assert harness.texts() == []


async def test_an_account_error_disables_the_provider_and_loses_no_sms(harness: Harness) -> None:
    harness.sms.post("balance", {"balance": "0"})
    process = await harness.start(wait=False)
    await harness.publish(partner("p1"), opened(1), rejected(2), rejected(3))
    await harness.wait_for_row("SELECT 1 FROM messages HAVING count(*) = 3")
    await harness.wait_for_row("SELECT 1 FROM providers WHERE disabled_code = '3' AND disabled_until > now()")

    assert len(sent_calls(harness)) <= 3
    assert harness.texts() == []
    assert (
        'truce_sms_provider_disabled{provider="smsc",service="notifier"} 1.0'
        in httpx.get(f"{process.admin}/metrics").text
    )
    [shown] = harness.json_command("providers")
    assert (shown["name"], shown["disabled_code"]) == ("smsc", "3")


async def test_one_recipient_gets_at_most_the_limit(harness: Harness) -> None:
    await harness.start(PER_HOUR="2")
    await harness.publish(partner("p1"), partner("p2", OTHER_REALTOR), *(rejected(lead) for lead in range(10, 16)))
    await harness.publish(rejected(20, "p2"))
    await harness.statuses(3)

    assert sorted(message["to"] for message in harness.sms.get("messages")) == [
        *[REALTOR.phone] * 2,
        OTHER_REALTOR.phone,
    ]
    assert len(await harness.rows("SELECT 1 FROM messages WHERE status = 'scheduled'")) == 4


@pytest.mark.parametrize(("per_second", "at_once"), [(0.5, 1), (1.0, 2), (20.0, 20)])
async def test_scheduled_sms_are_released_at_the_configured_rate_however_slow(
    harness: Harness, per_second: float, at_once: int
) -> None:
    database = Database(harness.database, name="test")
    async with database.single() as tx:
        granted = []
        for past_s in (3600, 0):  # after an hour in which nothing was sent, and right after that
            if past_s:
                await tx.execute("UPDATE pace SET next_at = now() - make_interval(secs => $1)", past_s)
            granted.append(await grant(tx, per_second, 1000))
    await database.close()

    assert granted[0] >= at_once
    assert granted[0] <= max(2, per_second + 1)
    assert granted[1] <= 1


async def test_with_a_list_of_numbers_no_other_number_gets_an_sms(harness: Harness) -> None:
    await harness.start(ONLY_TO=OTHER_REALTOR.phone)
    await harness.publish(partner("p1"), partner("p2", OTHER_REALTOR), rejected(2, "p1"), rejected(3, "p2"))
    await harness.statuses(1)
    await harness.wait_for_row("SELECT 1 FROM messages WHERE status = 'dropped' AND detail = 'not-whitelisted'")

    assert [message["to"] for message in harness.sms.get("messages")] == [OTHER_REALTOR.phone]


async def test_after_a_lost_answer_the_sms_is_looked_up_and_not_sent_twice(harness: Harness) -> None:
    await harness.start()
    harness.sms.post("fault", {"mode": "accept_then_cut", "count": 1})
    await harness.publish(partner("p1"), opened(1))
    [status] = await harness.statuses(1)

    assert (status.status, status.detail) in {("sent", "status -1"), ("sent", "status 0"), ("delivered", "status 1")}
    assert len(harness.texts()) == 1


async def test_a_refusal_is_published_as_failed_with_the_providers_code(harness: Harness) -> None:
    await harness.start()
    harness.sms.post("fault", {"mode": "refuse", "code": 8, "count": 1})
    await harness.publish(partner("p1"), opened(1))
    [status] = await harness.statuses(1)

    assert (status.status, status.detail, status.provider) == ("failed", "8", "smsc")
    assert (status.lead_id, status.client_key) == (UUID(int=1), key_of())
    [row] = await harness.rows("SELECT status, provider, detail, settled_at IS NOT NULL AS settled FROM messages")
    assert tuple(row) == ("failed", "smsc", "8", True)


async def test_no_phone_no_name_and_no_text_in_logs_rows_and_events(harness: Harness) -> None:
    process = await harness.start()
    await harness.publish(partner("p1"), opened(1), rejected(2))
    statuses = await harness.statuses(2)
    metrics = httpx.get(f"{process.admin}/metrics").text
    assert process.terminate() == 0
    tables = [
        row["tablename"] for row in await harness.rows("SELECT tablename FROM pg_tables WHERE schemaname='public'")
    ]
    dump = [repr(await harness.rows(f'SELECT t::text FROM "{table}" t')) for table in tables]
    seen = harness.log.read_text() + metrics + repr(statuses) + "".join(dump)
    assert "sms_provider_called" in seen
    for secret in (REALTOR.phone[2:], BUYER.phone[2:], "Иванов", "Петрова", "закреплён", "отказ"):
        assert secret not in seen


# The last test: for ten seconds Kafka waits for the killed member of the group.


async def test_after_a_kill_during_a_call_the_sms_is_looked_up_before_it_is_sent(harness: Harness) -> None:
    process = await harness.start()
    harness.sms.post("fault", {"mode": "slow", "seconds": 2, "count": 1, "match": {"call": "send"}})
    await harness.publish(partner("p1"), opened(1))
    await wait_until(lambda: sent_calls(harness), "the call is under way")
    process.kill()
    await wait_until(lambda: harness.texts(), "the provider accepts the SMS")
    # Work rows are performed without Kafka, which still waits for the killed member of the group.
    await harness.start(wait=False)
    [status] = await harness.statuses(1)

    # On a slow machine the lookup finds the SMS delivered already.
    assert status.status in ("sent", "delivered")
    assert len(harness.texts()) == 1
    assert len(sent_calls(harness)) == 1


async def test_an_older_state_of_a_partner_never_replaces_a_newer_one(harness: Harness) -> None:
    await harness.start()
    newer, older = partner("p1"), partner("p1", OTHER_REALTOR).model_copy(update={"status": "suspended"})
    await publish(harness.bootstrap, [newer], source="/truce/intake", sequence=7)
    await publish(harness.bootstrap, [older], source="/truce/intake", sequence=6)
    await publish(harness.bootstrap, [partner("p2")], source="/truce/intake", sequence=1)
    await harness.wait_for_row("SELECT 1 FROM partners WHERE partner_id = 'p2'")
    await harness.wait_for_row("SELECT 1 FROM state_versions WHERE key = 'p1' AND sequence = 7")
    await wait_until(lambda: "state_superseded" in harness.log.read_text(), "the older state is read")

    (row,) = await harness.rows("SELECT person, status FROM partners WHERE partner_id = 'p1'")
    assert tuple(row) == (newer.person, "active")
