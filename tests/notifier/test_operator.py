"""What the sales office asks the notifier, and what it may order."""

import json
from uuid import UUID

import pytest

from tests.notifier.samples import BUYER, REALTOR, closed, opened, partner, rejected
from tests.notifier.world import World

pytestmark = pytest.mark.infra
WHY = ("--who", "Смирнова", "--why", "риэлтор ничего не получил")


async def test_messages_are_listed_without_texts_names_and_phones(world: World) -> None:
    await world.start()
    await world.tell(partner("p1"), opened(1), rejected(2))
    await world.statuses(2)
    of_lead = [
        json.loads(line) for line in world.command("messages", "--lead", str(UUID(int=1)), "--json").stdout.splitlines()
    ]
    table = world.command("messages", "--partner", "p1", "--status", "sent").stdout

    assert [(one["template"], one["status"], one["provider"]) for one in of_lead] == [("confirmed.v1", "sent", "smsc")]
    assert "confirmed.v1" in table
    assert "отправлено" in table
    for secret in (REALTOR.phone[2:], BUYER.phone[2:], "Иванов", "Петрова"):
        assert secret not in table
    assert "ничего нет" in world.command("unknown").stdout
    assert world.command("messages", "--status", "lost").returncode == 2


async def test_an_unknown_message_is_seen_and_sent_again_with_a_reason(world: World) -> None:
    process = await world.start()
    world.sms.post("fault", {"mode": "refuse", "code": 7, "count": 1})
    await world.tell(partner("p1"), rejected(2))
    await world.statuses(1)
    # As if nobody could have been asked for six hours.
    await world.rows("UPDATE messages SET status = 'unknown', detail = 'not-resolved'")
    [unknown] = [json.loads(line) for line in world.command("unknown", "--json").stdout.splitlines()]

    without = world.command("resend", unknown["message_id"])
    assert without.returncode == 2
    done = world.command("resend", unknown["message_id"], *WHY)
    assert done.returncode == 0, done.stderr
    statuses = await world.statuses(2)
    assert str(statuses[1].message_id) in done.stdout
    assert (statuses[1].status, statuses[1].template) == ("sent", "rejected.v1")
    assert len(world.texts()) == 1
    [again] = await world.rows("SELECT resend_of, resent_by, resent_why FROM messages WHERE resend_of IS NOT NULL")
    assert tuple(again) == (UUID(unknown["message_id"]), "Смирнова", "риэлтор ничего не получил")
    assert world.command("resend", unknown["message_id"], *WHY).returncode == 1
    assert process.terminate() == 0


async def test_what_is_no_longer_true_is_not_sent_again(world: World) -> None:
    await world.start()
    world.sms.post("fault", {"mode": "refuse", "code": 7, "count": 1})
    await world.tell(partner("p1"), opened(1))
    [status] = await world.statuses(1)
    await world.tell(closed("won"))
    await world.statuses(2)
    refused = world.command("resend", str(status.message_id), *WHY)
    stranger = world.command("resend", str(UUID(int=5)), *WHY)

    assert (refused.returncode, "другое событие" in refused.stderr) == (1, True)
    assert (stranger.returncode, "такого сообщения нет" in stranger.stderr) == (1, True)


async def test_providers_are_shown_with_their_money(world: World) -> None:
    await world.start()
    await world.wait_for("SELECT 1 FROM providers WHERE balance > 0")

    table = world.command("providers").stdout
    assert "smsc" in table
    assert "100000.00" in table
    assert "всё хорошо" in table
