"""The notifier on real Kafka and PostgreSQL, against the SMS simulator's process."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from chassis.service import Database
from contracts.person import Person
from services.notifier.answers import Attempt
from services.notifier.store import Attempts, Limits, may_speak
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
from tests.notifier.world import World, until

pytestmark = pytest.mark.infra

OTHER_REALTOR = Person.parse("Сидоров Олег Петрович", "+79039998877")


def sent_calls(world: World) -> list[str]:
    return [call["path"] for call in world.sms.get("calls") if call["path"] == "/rest/send/"]


async def test_each_event_is_one_sms_whatever_is_repeated(world: World) -> None:
    await world.start()
    # The partners come last: their topic may lag behind the others.
    await world.tell(opened(1), opened(4, "p2"), times=3)
    await world.tell(rejected(2, "p2"), rejected(3, "p1", "already-yours"), times=2)
    await world.tell(partner("p1"), partner("p2", OTHER_REALTOR))
    statuses = await world.statuses(4)

    assert sorted((status.template, status.status, status.partner_id) for status in statuses) == [
        ("already-yours.v1", "sent", "p1"),
        ("confirmed.v1", "sent", "p1"),
        ("confirmed.v1", "sent", "p2"),
        ("rejected.v1", "sent", "p2"),
    ]
    assert sorted((message["to"], message["text"]) for message in world.sms.get("messages")) == [
        (REALTOR.phone, "Клиент Иванов И. закреплён за вами до 24.05.2027 включительно. Заявка 0001."),
        (REALTOR.phone, "Клиент Иванов И. уже закреплён за вами. Заявка 0003."),
        (OTHER_REALTOR.phone, "Клиент Иванов И. закреплён за вами до 24.05.2027 включительно. Заявка 0004."),
        (OTHER_REALTOR.phone, "Клиент Иванов И.: отказ, клиент уже в работе. Заявка 0002."),
    ]
    assert {row["state"] for row in await world.rows("SELECT state FROM work")} == {"done"}


async def test_messages_about_one_client_keep_their_order(world: World) -> None:
    await world.start()
    world.sms.post("fault", {"mode": "slow", "seconds": 1, "count": 1})
    await world.tell(partner("p1"), claim_accepted(), accrued("1500.00"), accrued("-200.00"))
    await until(lambda: world.texts() or None, "the first message")
    statuses = await world.statuses(3 if "принят" in world.texts()[0] else 2)

    assert [status.template for status in statuses][-2:] == ["accrued.v1", "corrected.v1"]
    assert ["исправлено" in text for text in world.texts()][-2:] == [False, True]


async def test_a_deadline_extended_in_the_night_leaves_the_reminder_unsaid_and_the_morning_true(world: World) -> None:
    midnight = datetime(2027, 5, 18, 0, 1, tzinfo=MOSCOW)
    world.move_clock(midnight)
    await world.start(QUIET_HOURS="21:00-09:00")
    await world.tell(partner("p1"), expiring(days_left=7))
    await world.tell(rejected(2))
    assert [status.template for status in await world.statuses(1)] == ["rejected.v1"]
    await world.wait_for("SELECT 1 FROM messages WHERE template = 'expiring.v1' AND status = 'scheduled'")

    await world.tell(extended())
    await world.wait_for("SELECT 1 FROM messages WHERE template = 'extended.v1'")
    world.move_clock(midnight + timedelta(hours=9))

    assert [status.template for status in await world.statuses(2)] == ["rejected.v1", "extended.v1"]
    assert [text.partition(":")[2][:24] for text in world.texts()] == [
        " отказ, клиент уже в раб",
        " закрепление продлено до",
    ]
    [reminder] = await world.rows("SELECT status, detail FROM messages WHERE template = 'expiring.v1'")
    assert tuple(reminder) == ("dropped", "superseded")


async def test_a_message_that_outlived_its_truth_in_an_outage_is_not_said(world: World) -> None:
    world.sms.post("fault", {"mode": "refuse", "code": 3})
    await world.start()
    await world.tell(partner("p1"), closed("won"), rejected(2))
    await world.wait_for("SELECT 1 FROM messages HAVING count(*) = 2")
    await world.wait_for("SELECT 1 FROM providers WHERE bar = '3' AND barred_until > now()")
    for instance in world.instances:
        assert instance.terminate() == 0
    world.sms.post("fault", {"mode": "none"})
    world.move_clock(datetime.now(UTC) + timedelta(days=8))
    await world.rows("UPDATE work SET due_at = now()")
    await world.rows("UPDATE providers SET barred_until = now()")
    await world.start(wait=False)
    await world.wait_for("SELECT 1 FROM messages HAVING count(*) FILTER (WHERE status = 'dropped') = 2")

    assert world.texts() == []


async def test_money_and_password_errors_stop_the_provider_and_not_the_messages(world: World) -> None:
    world.sms.post("balance", {"balance": "0"})
    process = await world.start(wait=False)
    await world.tell(partner("p1"), opened(1), rejected(2), rejected(3))
    await world.wait_for("SELECT 1 FROM messages HAVING count(*) = 3")
    await world.wait_for("SELECT 1 FROM providers WHERE bar = '3' AND barred_until > now()")

    assert len(sent_calls(world)) <= 3
    assert world.texts() == []
    assert 'truce_sms_provider_barred{provider="smsc"} 1.0' in httpx.get(f"{process.admin}/metrics").text
    [shown] = [json.loads(line) for line in world.command("providers", "--json").stdout.splitlines()]
    assert (shown["name"], shown["bar"]) == ("smsc", "3")


async def test_one_recipient_gets_no_more_than_the_limit(world: World) -> None:
    await world.start(PER_HOUR="2")
    await world.tell(partner("p1"), partner("p2", OTHER_REALTOR), *(rejected(lead) for lead in range(10, 16)))
    await world.tell(rejected(20, "p2"))
    await world.statuses(3)

    assert sorted(message["to"] for message in world.sms.get("messages")) == [
        *[REALTOR.phone] * 2,
        OTHER_REALTOR.phone,
    ]
    assert len(await world.rows("SELECT 1 FROM messages WHERE status = 'scheduled'")) == 4


@pytest.mark.parametrize(("per_second", "at_once"), [(0.5, 1), (1.0, 2), (20.0, 20)])
async def test_what_waited_is_let_go_at_the_rate_that_is_set_however_slow(
    world: World, per_second: float, at_once: int
) -> None:
    database = Database(world.database, name="test")
    async with database.single() as tx:
        granted = []
        for past_s in (3600, 0):  # after an hour in which nothing was sent, and right after that
            if past_s:
                await tx.execute("UPDATE pace SET next_at = now() - make_interval(secs => $1)", past_s)
            granted.append(await may_speak(tx, per_second, 1000))
    await database.close()

    assert granted[0] >= at_once
    assert granted[0] <= max(2, per_second + 1)
    assert granted[1] <= 1


async def test_in_the_test_mode_nobody_else_gets_anything(world: World) -> None:
    await world.start(ONLY_TO=OTHER_REALTOR.phone)
    await world.tell(partner("p1"), partner("p2", OTHER_REALTOR), rejected(2, "p1"), rejected(3, "p2"))
    await world.statuses(1)
    await world.wait_for("SELECT 1 FROM messages WHERE status = 'dropped' AND detail = 'not-whitelisted'")

    assert [message["to"] for message in world.sms.get("messages")] == [OTHER_REALTOR.phone]


async def test_an_answer_that_was_cut_off_is_looked_up_and_nothing_is_sent_twice(world: World) -> None:
    await world.start()
    world.sms.post("fault", {"mode": "accept_then_cut", "count": 1})
    await world.tell(partner("p1"), opened(1))
    [status] = await world.statuses(1)

    assert (status.status, status.detail) in {("sent", "status -1"), ("sent", "status 0"), ("delivered", "status 1")}
    assert len(world.texts()) == 1


async def test_a_refusal_is_told_as_failed_with_the_providers_code(world: World) -> None:
    await world.start()
    world.sms.post("fault", {"mode": "refuse", "code": 8, "count": 1})
    await world.tell(partner("p1"), opened(1))
    [status] = await world.statuses(1)

    assert (status.status, status.detail, status.provider) == ("failed", "8", "smsc")
    assert (status.lead_id, status.client_key) == (UUID(int=1), key_of())
    [row] = await world.rows("SELECT status, provider, detail, settled_at IS NOT NULL AS settled FROM messages")
    assert tuple(row) == ("failed", "smsc", "8", True)


async def test_no_phone_no_name_and_no_text_in_logs_rows_and_events(world: World) -> None:
    process = await world.start()
    await world.tell(partner("p1"), opened(1), rejected(2))
    statuses = await world.statuses(2)
    metrics = httpx.get(f"{process.admin}/metrics").text
    assert process.terminate() == 0
    tables = [row["tablename"] for row in await world.rows("SELECT tablename FROM pg_tables WHERE schemaname='public'")]
    dump = [repr(await world.rows(f'SELECT t::text FROM "{table}" t')) for table in tables]
    seen = world.log.read_text() + metrics + repr(statuses) + "".join(dump)
    assert "sms send" in seen
    for secret in (REALTOR.phone[2:], BUYER.phone[2:], "Иванов", "Петрова", "закреплён", "отказ"):
        assert secret not in seen


async def test_an_attempt_is_begun_by_one_only_and_not_for_what_is_untrue_by_now(world: World) -> None:
    process = await world.start()
    await world.tell(opened())  # and nobody knows the partner, so it waits
    await world.wait_for("SELECT 1 FROM messages WHERE status = 'waiting'")
    assert process.terminate() == 0
    database = Database(world.database, name="test")
    desk = Attempts(database, Limits())
    [row] = await world.rows("SELECT message_id FROM messages")
    [letter] = (await desk.letters([row["message_id"]])).values()

    assert await desk.begin(letter.message, "smsc", None) == "begun"
    assert await desk.begin(letter.message, "smsc", None) == "another's"
    assert await desk.begin(letter.message, "smsc", Attempt("smsc", sends=1)) == "begun"
    assert await desk.begin(letter.message, "smsc", Attempt("smsc", sends=1)) == "another's"
    await desk.forget(letter.message.message_id)
    assert [row["sends"] for row in await world.rows("SELECT sends FROM attempts")] == [2]
    await world.rows("UPDATE messages SET obsolete = 'superseded'")
    assert await desk.begin(letter.message, "smsc", Attempt("smsc", sends=2)) == "another's"
    await world.rows("DELETE FROM attempts")
    assert await desk.begin(letter.message, "smsc", None) == "untrue"
    await database.close()


# The last one: Kafka remembers the dead member for ten seconds.


async def test_killed_in_the_middle_of_a_call_it_looks_before_it_sends(world: World) -> None:
    process = await world.start()
    world.sms.post("fault", {"mode": "slow", "seconds": 2, "count": 1, "match": {"call": "send"}})
    await world.tell(partner("p1"), opened(1))
    await until(lambda: sent_calls(world) or None, "the call to be under way")
    process.kill()
    await until(lambda: world.texts() or None, "the provider to take the message")
    # Its work needs no Kafka, which still waits for the dead member of the group.
    await world.start(wait=False)
    [status] = await world.statuses(1)

    assert status.status == "sent"
    assert len(world.texts()) == 1
    assert len(sent_calls(world)) == 1
