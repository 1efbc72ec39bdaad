"""An SMS that may be out: it is looked up, and sent again only when it certainly did not arrive."""

from typing import Any
from uuid import UUID

import pytest

from chassis.service import Retry
from services.notifier.domain.answers import (
    Accepted,
    Disabled,
    Found,
    InDoubt,
    Missing,
    NoAnswer,
    NoLookup,
    Repeated,
    SendAnswer,
    Unreachable,
)
from services.notifier.domain.in_doubt import Attempt
from services.notifier.providers.smsc import Smsc
from tests.notifier.doubles import ScriptedProvider
from tests.notifier.samples import opened
from tests.notifier.sending import log_of, only_attempt, only_sms, outcome, perform, sending
from tests.simulators.tests.processes import Sim


class Killed(BaseException):
    """The process was killed in the middle of a call."""


async def test_an_sms_in_doubt_is_looked_up_at_the_provider_that_was_called() -> None:
    attempts, second = log_of(opened()), ScriptedProvider([Found("shown")], name="second")
    attempts.put(only_sms(attempts).message_id, Attempt("second", age_s=5))
    work, first = sending(attempts, [], second)

    assert outcome(await perform(work, attempts)) == ("sent", "shown")
    assert (first.calls, second.calls) == ([], ["lookup"])


async def test_without_a_lookup_call_an_sms_in_doubt_is_unknown_and_not_repeated() -> None:
    attempts, second = log_of(opened()), ScriptedProvider([], name="second")
    work, first = sending(attempts, [InDoubt("ReadTimeout"), NoLookup()], second)
    await perform(work, attempts)

    assert outcome(await perform(work, attempts)) == ("unknown", "cannot-be-asked")
    assert (first.calls, second.calls) == (["send", "lookup"], [])


async def test_an_sms_sent_through_a_provider_that_is_no_longer_configured_is_unknown() -> None:
    attempts = log_of(opened())
    attempts.put(only_sms(attempts).message_id, Attempt("gone"))
    work, provider = sending(attempts, [])

    assert outcome(await perform(work, attempts)) == ("unknown", "provider-gone")
    assert provider.calls == []


async def test_an_sms_that_is_no_longer_true_is_looked_up_but_not_sent_again() -> None:
    attempts = log_of(opened())
    attempts.make_obsolete()
    attempts.put(only_sms(attempts).message_id, Attempt("scripted", age_s=61, lookups=1, misses=1))
    work, provider = sending(attempts, [Missing()])

    assert outcome(await perform(work, attempts)) == ("dropped", "superseded")
    assert provider.calls == ["lookup"]


async def test_after_a_lost_answer_the_sms_is_looked_up_until_it_is_found() -> None:
    attempts = log_of(opened())
    work, provider = sending(attempts, [InDoubt("ReadTimeout"), Missing(), Found("status 0")])

    assert await perform(work, attempts) == Retry("ReadTimeout", after_s=5)
    assert await perform(work, attempts) == Retry("in-doubt", after_s=15)
    assert outcome(await perform(work, attempts)) == ("sent", "status 0")
    assert provider.calls == ["send", "lookup", "lookup"]


async def test_an_sms_is_sent_again_only_after_a_minute_of_misses() -> None:
    attempts = log_of(opened())
    work, provider = sending(attempts, [InDoubt("cut"), Missing(), Missing(), Missing(), Accepted()])
    for attempts.now_s in (0, 5, 20, 61):
        answer = await perform(work, attempts)

    assert outcome(answer) == ("sent", None)
    assert provider.calls == ["send", "lookup", "lookup", "lookup", "send"]


async def test_after_a_kill_during_a_call_the_sms_is_looked_up_first() -> None:
    attempts = log_of(opened())

    class Deadly(ScriptedProvider):
        async def send(self, _: UUID, __: str, ___: str) -> Any:
            raise Killed

    work, _ = sending(attempts, Deadly([]))
    with pytest.raises(Killed):
        await perform(work, attempts)
    after, provider = sending(attempts, [Found("status 1", "delivered")])

    assert outcome(await perform(after, attempts)) == ("delivered", "status 1")
    assert provider.calls == ["lookup"]


async def test_an_sms_that_no_lookup_settles_ends_as_unknown() -> None:
    attempts = log_of(opened())
    work, provider = sending(attempts, [InDoubt("cut"), *[NoAnswer("down")] * 4])
    for attempts.now_s in (0, 100, 200, 300, 400):
        answer = await perform(work, attempts)

    assert outcome(answer) == ("unknown", "not-resolved")
    assert provider.calls == ["send", *["lookup"] * 4]


async def test_a_repeated_call_in_doubt_keeps_the_number_of_lookups() -> None:
    attempts = log_of(opened())
    misses = Missing(), Missing()
    work, provider = sending(attempts, [InDoubt("cut"), *misses, InDoubt("cut"), *misses])
    found = []
    for attempts.now_s in (0, 61, 61, 122, 122):
        found.append(await perform(work, attempts))

    assert found[2] == Retry("cut", after_s=30)
    assert outcome(found[4]) == ("unknown", "not-resolved")
    assert provider.calls == ["send", "lookup", "lookup", "send", "lookup", "lookup"]


@pytest.mark.parametrize("answer", [Repeated("9"), Disabled("3"), Unreachable("ConnectError")])
async def test_a_repeated_call_that_sent_nothing_leaves_the_first_call_in_doubt(answer: SendAnswer) -> None:
    attempts = log_of(opened())
    attempts.put(only_sms(attempts).message_id, Attempt("scripted", age_s=61, lookups=1, misses=1))
    work, _ = sending(attempts, [Missing(), answer])
    retry = await perform(work, attempts)

    assert isinstance(retry, Retry)
    assert not retry.no_effect
    assert only_attempt(attempts) is not None


async def test_a_lookup_at_a_disabled_provider_is_not_counted() -> None:
    attempts = log_of(opened())
    attempt = Attempt("scripted", age_s=61, lookups=1, misses=1)
    attempts.put(only_sms(attempts).message_id, attempt)
    work, _ = sending(attempts, [Disabled("2")])
    answer = await perform(work, attempts)

    assert isinstance(answer, Retry)
    assert (answer.reason, answer.no_effect) == ("disabled-2", False)
    assert answer.after_s == pytest.approx(300, abs=2)
    assert only_attempt(attempts) == attempt


# --- the SMSC adapter and the simulator as a process ---


async def test_an_answer_lost_after_smsc_accepted_is_exactly_one_sms(smsc: Smsc, sms: Sim) -> None:
    sms.post("fault", {"mode": "accept_then_cut", "count": 1})
    attempts = log_of(opened())
    work, _ = sending(attempts, smsc)

    assert await perform(work, attempts) == Retry("RemoteProtocolError", after_s=5)
    assert outcome(await perform(work, attempts))[0] == "sent"
    [accepted] = sms.get("messages")
    assert accepted["id"] == str(only_sms(attempts).message_id)


async def test_an_answer_lost_before_smsc_accepted_is_sent_again_after_a_minute(smsc: Smsc, sms: Sim) -> None:
    sms.post("fault", {"mode": "down", "count": 1})
    attempts = log_of(opened())
    work, _ = sending(attempts, smsc)
    for attempts.now_s in (0, 5, 20, 61):
        answer = await perform(work, attempts)

    assert outcome(answer) == ("sent", None)
    assert len(sms.get("messages")) == 1
