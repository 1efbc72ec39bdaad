"""Sending: which SMS are sent, through which provider, and which answers are followed by another call."""

import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import structlog
from structlog.testing import capture_logs

from chassis.service import Done, Park, Retry
from contracts.sealing import Sealer
from services.notifier.domain.answers import Accepted, Disabled, InDoubt, Refused, Repeated, SendAnswer, Unreachable
from services.notifier.domain.in_doubt import Attempt
from services.notifier.domain.model import Limits, SmsPostponed
from services.notifier.providers.smsc import Smsc
from tests.notifier.doubles import InMemoryAttemptLog, ScriptedProvider
from tests.notifier.samples import BUYER, NOON, REALTOR, closed, opened
from tests.notifier.sending import log_of, only_attempt, only_sms, outcome, perform, sending
from tests.simulators.tests.processes import Sim


async def test_an_attempt_is_recorded_and_the_sms_is_sent() -> None:
    attempts = log_of(opened())
    work, _ = sending(attempts, [Accepted()])

    assert outcome(await perform(work, attempts)) == ("sent", None)
    assert only_attempt(attempts) == Attempt("scripted")


async def test_a_refused_sms_has_failed() -> None:
    attempts = log_of(opened())
    work, _ = sending(attempts, [Refused("7")])

    assert outcome(await perform(work, attempts)) == ("failed", "7")


@pytest.mark.parametrize(
    ("answer", "reason", "after_s"),
    [
        (Unreachable("ConnectError"), "no-provider", 1),
        (Repeated("9"), "repeated-9", 61),
        (Disabled("3"), "no-provider", 300),
    ],
)
async def test_a_call_that_certainly_sent_nothing_is_repeated_without_a_lookup(
    answer: SendAnswer, reason: str, after_s: float
) -> None:
    attempts = log_of(opened())
    work, _ = sending(attempts, [answer])
    retry = await perform(work, attempts)

    assert isinstance(retry, Retry)
    assert (retry.reason, retry.no_effect) == (reason, True)
    assert retry.after_s == pytest.approx(after_s, abs=2)
    assert only_attempt(attempts) is None


async def test_a_disabled_provider_is_not_called() -> None:
    attempts = log_of(opened())
    work, provider = sending(attempts, [Disabled("2")])
    await perform(work, attempts)
    again = await perform(work, attempts)

    assert isinstance(again, Retry)
    assert again.no_effect
    assert 290 < (again.after_s or 0) <= 300
    assert provider.calls == ["send"]


@pytest.mark.parametrize("answer", [Unreachable("ConnectError"), Disabled("3"), Refused("6", elsewhere=True)])
async def test_an_sms_that_was_certainly_not_sent_goes_to_the_next_provider(answer: SendAnswer) -> None:
    attempts, second = log_of(opened()), ScriptedProvider([Accepted()], name="second")
    work, first = sending(attempts, [answer], second)

    assert outcome(await perform(work, attempts)) == ("sent", None)
    assert (first.calls, second.calls) == (["send"], ["send"])
    assert only_attempt(attempts) == Attempt("second")


@pytest.mark.parametrize("answer", [InDoubt("ReadTimeout"), Refused("7"), Repeated("9")])
async def test_an_sms_in_doubt_or_refused_for_good_does_not_go_to_the_next_provider(answer: SendAnswer) -> None:
    attempts, second = log_of(opened()), ScriptedProvider([], name="second")
    work, first = sending(attempts, [answer], second)
    await perform(work, attempts)

    assert (first.calls, second.calls) == (["send"], [])


async def test_an_sms_that_every_provider_refuses_has_failed_with_the_first_code() -> None:
    attempts, second = log_of(opened()), ScriptedProvider([Refused("403", elsewhere=True)], name="second")
    work, _ = sending(attempts, [Refused("6", elsewhere=True)], second)

    assert outcome(await perform(work, attempts)) == ("failed", "6")


async def test_an_sms_that_is_no_longer_true_is_not_sent() -> None:
    attempts = log_of(opened())
    work, provider = sending(attempts, [])
    late, _ = sending(attempts, provider, now=only_sms(attempts).valid_until)

    assert outcome(await perform(late, attempts)) == ("dropped", "too-late")
    attempts.make_obsolete()
    assert outcome(await perform(work, attempts)) == ("dropped", "superseded")
    assert provider.calls == []


async def test_an_sms_that_became_untrue_after_it_was_read_is_not_sent() -> None:
    attempts = log_of(opened())
    attempts.meanwhile = attempts.make_obsolete
    work, provider = sending(attempts, [])

    assert outcome(await perform(work, attempts)) == ("dropped", "superseded")
    assert provider.calls == []


async def test_an_sms_that_missed_the_evening_is_postponed_to_the_morning() -> None:
    attempts = log_of(closed())
    work, provider = sending(attempts, [], now=NOON + timedelta(hours=10))
    answer = await perform(work, attempts)

    assert isinstance(answer, Done)
    assert answer.body == SmsPostponed(only_sms(attempts).message_id, NOON + timedelta(hours=21))
    assert provider.calls == []


async def test_an_sms_over_the_recipients_limit_is_postponed() -> None:
    attempts = log_of(opened(), limits=Limits(per_hour=1))
    other = replace(only_sms(attempts), message_id=UUID(int=7))
    attempts.messages[other.message_id] = other
    assert await attempts.begin(other, "scripted", None) == "begun"
    work, provider = sending(attempts, [])
    answer = await perform(work, attempts)

    assert isinstance(answer, Done)
    assert isinstance(answer.body, SmsPostponed)
    assert answer.body.until > NOON
    assert provider.calls == []


async def test_with_a_list_of_numbers_only_these_get_an_sms() -> None:
    attempts = log_of(opened())
    unlisted, provider = sending(attempts, [Accepted()], only_to=frozenset({"+79990000000"}))
    listed, _ = sending(attempts, provider, only_to=frozenset({REALTOR.phone}))

    assert outcome(await perform(unlisted, attempts)) == ("dropped", "not-whitelisted")
    assert outcome(await perform(listed, attempts)) == ("sent", None)


async def test_a_process_that_was_frozen_does_not_send_what_another_process_sends() -> None:
    attempts = log_of(opened())
    attempts.meanwhile = lambda: attempts.put(only_sms(attempts).message_id, Attempt("scripted"))
    work, provider = sending(attempts, [])

    assert await perform(work, attempts) == Retry("stalled")
    assert provider.calls == []


async def test_an_sms_to_a_partner_who_is_not_described_yet_is_retried() -> None:
    attempts = log_of(opened())
    attempts.persons.clear()
    work, provider = sending(attempts, [])

    assert await perform(work, attempts) == Retry("partner-unknown", no_effect=True)
    assert provider.calls == []


async def test_an_sms_that_cannot_be_unsealed_is_parked() -> None:
    attempts = log_of(opened())
    keys = json.dumps({"keys": [{"kty": "oct", "kid": "t2", "k": "T0RmlFvL81_AEmS5uJtmHOxltfV2OjHU5IN-LY3PIuQ"}]})
    work, _ = sending(attempts, [], sealer=Sealer(keys))

    assert await perform(work, attempts) == Park("unsealable")


async def test_a_settled_sms_is_not_sent_again() -> None:
    attempts = log_of(opened())
    sms = only_sms(attempts)
    attempts.messages[sms.message_id] = replace(sms, status="sent", provider="scripted", settled_at=NOON)
    work, provider = sending(attempts, [])

    assert outcome(await perform(work, attempts))[0] == "dropped"  # which changes nothing about a settled SMS
    assert provider.calls == []


async def test_a_work_row_without_an_sms_is_parked() -> None:
    attempts = InMemoryAttemptLog(persons={})
    work, _ = sending(attempts, [])

    assert await perform(work, attempts) == Park("no-such-message")


async def test_logs_hold_ids_and_codes_but_no_content() -> None:
    structlog.reset_defaults()
    attempts = log_of(opened())
    work, _ = sending(attempts, [InDoubt("ReadTimeout"), Disabled("2")])
    with capture_logs() as logs:
        await perform(work, attempts)
        await perform(work, attempts)

    assert logs[0]["template"] == "confirmed.v1"
    assert logs[0]["code"] == "ReadTimeout"
    for secret in (BUYER.phone, REALTOR.phone, "Иванов", "Клиент", "Петрова"):
        assert secret not in repr(logs)


async def test_the_sms_about_two_leads_of_one_realtor_are_both_sent_at_once(smsc: Smsc, sms: Sim) -> None:
    for lead in (1, 2):
        attempts = log_of(opened(lead))
        work, _ = sending(attempts, smsc)

        assert outcome(await perform(work, attempts)) == ("sent", None)
    assert len(sms.get("messages")) == 2
