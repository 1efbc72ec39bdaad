"""Operators' commands of the notifier."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from tests.notifier.harness import Harness
from tests.notifier.samples import BUYER, REALTOR, closed, opened, partner, rejected

pytestmark = pytest.mark.infra
WHY = ("--who", "Смирнова", "--why", "риэлтор ничего не получил")


async def test_sms_are_listed_without_texts_names_and_phones(harness: Harness) -> None:
    await harness.start()
    await harness.publish(partner("p1"), opened(1), rejected(2))
    await harness.statuses(2)
    of_lead = harness.json_command("messages", "--lead", str(UUID(int=1)))
    table = harness.command("messages", "--partner", "p1", "--status", "sent").stdout

    assert [(one["template"], one["status"], one["provider"]) for one in of_lead] == [("confirmed.v1", "sent", "smsc")]
    assert "confirmed.v1" in table
    assert "sent" in table
    for secret in (REALTOR.phone[2:], BUYER.phone[2:], "Иванов", "Петрова"):
        assert secret not in table
    assert "nothing found" in harness.command("unknown").stdout
    assert harness.command("messages", "--status", "lost").returncode == 2


async def test_an_unknown_sms_is_listed_and_sent_again_with_a_reason(harness: Harness) -> None:
    process = await harness.start()
    harness.sms.post("fault", {"mode": "refuse", "code": 7, "count": 1})
    await harness.publish(partner("p1"), rejected(2))
    await harness.statuses(1)
    # As if no lookup had got an answer for six hours.
    await harness.rows("UPDATE messages SET status = 'unknown', detail = 'not-resolved'")
    [unknown] = harness.json_command("unknown")
    [waiting] = harness.json_command("waiting")
    assert (waiting["kind"], waiting["message_id"]) == ("unknown-sms", unknown["message_id"])
    assert waiting["command"].startswith(f"python -m services.notifier resend {unknown['message_id']} --who ")

    without = harness.command("resend", unknown["message_id"])
    assert without.returncode == 2
    done = harness.command("resend", unknown["message_id"], *WHY)
    assert done.returncode == 0, done.stderr
    statuses = await harness.statuses(2)
    assert str(statuses[1].message_id) in done.stdout
    assert (statuses[1].status, statuses[1].template) == ("sent", "rejected.v1")
    assert len(harness.texts()) == 1
    [again] = await harness.rows("SELECT resend_of, resent_by, resent_why FROM messages WHERE resend_of IS NOT NULL")
    assert tuple(again) == (UUID(unknown["message_id"]), "Смирнова", "риэлтор ничего не получил")
    assert harness.command("resend", unknown["message_id"], *WHY).returncode == 1
    assert harness.json_command("waiting") == []
    assert process.terminate() == 0


async def test_an_sms_that_is_no_longer_true_is_not_sent_again(harness: Harness) -> None:
    await harness.start()
    harness.sms.post("fault", {"mode": "refuse", "code": 7, "count": 1})
    await harness.publish(partner("p1"), opened(1))
    [status] = await harness.statuses(1)
    await harness.publish(closed("won"))
    await harness.statuses(2)
    refused = harness.command("resend", str(status.message_id), *WHY)
    stranger = harness.command("resend", str(UUID(int=5)), *WHY)

    assert (refused.returncode, "another event followed" in refused.stderr) == (1, True)
    assert (stranger.returncode, "there is no such SMS" in stranger.stderr) == (1, True)


async def test_providers_are_listed_with_their_balance(harness: Harness) -> None:
    await harness.start()
    await harness.wait_for_row("SELECT 1 FROM providers WHERE balance > 0")

    table = harness.command("providers").stdout
    assert "smsc" in table
    assert "100000.00" in table
    assert "healthy" in table


async def test_commands_print_dates_with_the_year_in_the_builders_time_zone(harness: Harness) -> None:
    at = datetime(2026, 12, 31, 21, 30, tzinfo=UTC)
    await harness.rows("INSERT INTO providers (name, checked_at) VALUES ('smsc', $1)", at)

    assert "2027-01-01 00:30:00" in harness.command("providers").stdout
    assert "2027-01-01 09:30:00" in harness.command("providers", TIME_ZONE="Asia/Kamchatka").stdout
