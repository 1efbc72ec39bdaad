"""Sending: nothing is repeated on a guess, whatever the provider says and wherever the process was killed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import structlog
from structlog.testing import capture_logs

from chassis.clock import Clock
from chassis.decision import Cause
from chassis.service import Answer, Done, Job, Park, Retry
from contracts.base import ClientMessage
from contracts.sealing import Sealer
from services.notifier import domain
from services.notifier.answers import (
    Accepted,
    Attempt,
    Barred,
    CannotTell,
    Found,
    Health,
    InDoubt,
    LookAnswer,
    Missing,
    NoWord,
    Patience,
    Refused,
    Repeated,
    SendAnswer,
    Unreached,
    Well,
)
from services.notifier.domain import Client, Message, Postponed, SmsSettled
from services.notifier.handlers import Sending
from services.notifier.providers import Provider
from services.notifier.providers.smsc import Smsc
from services.notifier.roads import Roads
from services.notifier.store import Begun, Letter
from tests.notifier.samples import BUYER, NOON, POLICY, REALTOR, SEALER, cause, closed, opened, partner
from tests.simulators.tests.processes import Sim

PATIENCE = Patience(waits_s=(5, 15, 30, 60), missing_looks=2, resend_after_s=60)


@dataclass
class FakeDesk:
    """The desk in memory. `age_s` is what the clock would make of every attempt."""

    message: Message | None
    person: str | None
    attempt: Attempt | None = None
    age_s: float = 0.0
    refuses: Begun | None = None

    async def letters(self, message_ids: Sequence[UUID]) -> Mapping[UUID, Letter]:
        attempt = replace(self.attempt, age_s=self.age_s) if self.attempt else None
        return {one: Letter(self.message, self.person, attempt) for one in message_ids if self.message}

    async def begin(self, _: Message, provider: str, earlier: Attempt | None) -> Begun:
        if self.refuses is not None:
            return self.refuses
        if (earlier.sends if earlier else 0) != (self.attempt.sends if self.attempt else 0):
            return "another's"
        sends, looks = (earlier.sends + 1, earlier.looks) if earlier else (1, 0)
        self.attempt = Attempt(provider, 0, looks, sends=sends)
        return "begun"

    async def forget(self, _: UUID) -> None:
        self.attempt = None

    async def looked(self, _: UUID, attempt: Attempt) -> None:
        self.attempt = attempt


@dataclass
class FakeProvider:
    """Answers from a script, and remembers what it was asked."""

    answers: list[SendAnswer | LookAnswer]
    calls: list[str] = field(default_factory=list)
    name: str = "fake"

    async def send(self, _: UUID, phone: str, text: str) -> Any:
        assert (phone, "Иванов И." in text) == (REALTOR.phone, True)
        self.calls.append("send")
        return self.answers.pop(0)

    async def look(self, _: UUID, __: str) -> Any:
        self.calls.append("look")
        return self.answers.pop(0)

    async def check(self) -> Health:
        return Well()

    async def close(self) -> None:
        pass


class FakeBook:
    """A book that nobody else writes."""

    def __init__(self) -> None:
        self.bars: list[tuple[str, str]] = []

    async def barred(self) -> Mapping[str, tuple[str, float]]:
        return {}

    async def note(
        self, name: str, *, bar: tuple[str, float] | None, balance: Decimal | None, error: str | None
    ) -> None:
        assert balance is None
        assert bar is None or bar[0] == error
        self.bars.extend([(name, bar[0])] if bar else [])


class AtNoon(Clock):
    """Business time that stands still."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Killed(BaseException):
    """The process is gone in the middle of a call."""


def a_desk(lead: int = 1, event: ClientMessage | None = None) -> FakeDesk:
    decision = domain.told(Client(), event or opened(lead), cause(lead), NOON, policy=POLICY)
    return FakeDesk(decision.state.messages[0], partner().person)


def a_sending(
    desk: FakeDesk,
    provider: Provider | Iterable[SendAnswer | LookAnswer],
    *others: Provider,
    now: datetime = NOON,
    only_to: frozenset[str] | None = None,
    sealer: Sealer = SEALER,
) -> tuple[Sending, Any]:
    used: Provider = FakeProvider(list(provider)) if isinstance(provider, Iterable) else provider
    roads = Roads([used, *others], FakeBook())
    return Sending(desk, sealer, roads, POLICY, AtNoon(now), only_to=only_to, patience=PATIENCE), used


async def perform(sending: Sending, desk: FakeDesk) -> Answer:
    ref = f"{desk.message.message_id if desk.message else UUID(int=9)}.1"
    job = Job(1, ref, "k", {}, Cause("c", "story"), 1, False)
    [answer] = [answer async for _, answer in sending.perform([job])]
    return answer


def settled(answer: Answer) -> tuple[str, str | None]:
    assert isinstance(answer, Done)
    assert isinstance(answer.body, SmsSettled)
    return answer.body.status, answer.body.detail


async def test_a_message_is_sent_and_the_attempt_was_on_record_before() -> None:
    desk = a_desk()
    sending, _ = a_sending(desk, [Accepted()])

    assert settled(await perform(sending, desk)) == ("sent", None)
    assert desk.attempt == Attempt("fake")


async def test_a_refusal_fails_the_message() -> None:
    desk = a_desk()
    sending, _ = a_sending(desk, [Refused("7")])

    assert settled(await perform(sending, desk)) == ("failed", "7")


@pytest.mark.parametrize(
    ("said", "reason", "after_s"),
    [
        (Unreached("ConnectError"), "no-open-road", 1),
        (Repeated("9"), "repeated-9", 61),
        (Barred("3"), "no-open-road", 300),
    ],
)
async def test_what_certainly_did_nothing_is_tried_again_without_a_look(
    said: SendAnswer, reason: str, after_s: float
) -> None:
    desk = a_desk()
    sending, _ = a_sending(desk, [said])
    answer = await perform(sending, desk)

    assert isinstance(answer, Retry)
    assert (answer.reason, answer.no_effect) == (reason, True)
    assert answer.after_s == pytest.approx(after_s, abs=2)
    assert desk.attempt is None


async def test_a_barred_provider_is_left_alone() -> None:
    desk = a_desk()
    sending, provider = a_sending(desk, [Barred("2")])
    await perform(sending, desk)
    again = await perform(sending, desk)

    assert isinstance(again, Retry)
    assert again.no_effect
    assert 290 < (again.after_s or 0) <= 300
    assert provider.calls == ["send"]


@pytest.mark.parametrize("said", [Unreached("ConnectError"), Barred("3"), Refused("6", elsewhere=True)])
async def test_what_certainly_did_nothing_goes_to_the_next_provider(said: SendAnswer) -> None:
    desk, second = a_desk(), FakeProvider([Accepted()], name="second")
    sending, first = a_sending(desk, [said], second)

    assert settled(await perform(sending, desk)) == ("sent", None)
    assert (first.calls, second.calls) == (["send"], ["send"])
    assert desk.attempt == Attempt("second")


@pytest.mark.parametrize("said", [InDoubt("ReadTimeout"), Refused("7"), Repeated("9")])
async def test_what_may_be_out_or_is_refused_everywhere_does_not(said: SendAnswer) -> None:
    desk, second = a_desk(), FakeProvider([], name="second")
    sending, first = a_sending(desk, [said], second)
    await perform(sending, desk)

    assert (first.calls, second.calls) == (["send"], [])


async def test_what_every_provider_refuses_has_failed_with_the_first_ones_code() -> None:
    desk, second = a_desk(), FakeProvider([Refused("403", elsewhere=True)], name="second")
    sending, _ = a_sending(desk, [Refused("6", elsewhere=True)], second)

    assert settled(await perform(sending, desk)) == ("failed", "6")


async def test_doubt_is_resolved_where_it_arose() -> None:
    desk, second = a_desk(), FakeProvider([Found("shown")], name="second")
    desk.attempt, desk.age_s = Attempt("second"), 5
    sending, first = a_sending(desk, [], second)

    assert settled(await perform(sending, desk)) == ("sent", "shown")
    assert (first.calls, second.calls) == ([], ["look"])


async def test_a_provider_that_keeps_no_book_leaves_it_unknown_and_nobody_repeats() -> None:
    desk, second = a_desk(), FakeProvider([], name="second")
    sending, first = a_sending(desk, [InDoubt("ReadTimeout"), CannotTell()], second)
    await perform(sending, desk)

    assert settled(await perform(sending, desk)) == ("unknown", "cannot-be-asked")
    assert (first.calls, second.calls) == (["send", "look"], [])


async def test_what_went_through_a_provider_that_is_gone_is_unknown() -> None:
    desk = a_desk()
    desk.attempt = Attempt("gone")
    sending, provider = a_sending(desk, [])

    assert settled(await perform(sending, desk)) == ("unknown", "provider-gone")
    assert provider.calls == []


async def test_what_is_no_longer_true_is_not_said() -> None:
    desk = a_desk()
    assert desk.message is not None
    sending, provider = a_sending(desk, [])
    late, _ = a_sending(desk, provider, now=desk.message.valid_until)

    assert settled(await perform(late, desk)) == ("dropped", "too-late")
    desk.message = replace(desk.message, obsolete="superseded")
    assert settled(await perform(sending, desk)) == ("dropped", "superseded")
    assert provider.calls == []


async def test_what_became_untrue_after_it_was_read_is_not_said_either() -> None:
    desk = a_desk()
    desk.refuses = "untrue"
    sending, provider = a_sending(desk, [])

    assert settled(await perform(sending, desk)) == ("dropped", "superseded")
    assert provider.calls == []


async def test_what_is_no_longer_true_is_looked_for_but_not_sent_again() -> None:
    desk = a_desk()
    assert desk.message is not None
    desk.message = replace(desk.message, obsolete="superseded")
    desk.attempt, desk.age_s = Attempt("fake", looks=1, missing=1), 61
    sending, provider = a_sending(desk, [Missing()])

    assert settled(await perform(sending, desk)) == ("dropped", "superseded")
    assert provider.calls == ["look"]


async def test_what_missed_the_evening_waits_for_the_morning() -> None:
    desk = a_desk(event=closed())
    sending, provider = a_sending(desk, [], now=NOON + timedelta(hours=10))
    answer = await perform(sending, desk)

    assert isinstance(answer, Done)
    assert answer.body == Postponed(desk.message.message_id, NOON + timedelta(hours=21)) if desk.message else None
    assert provider.calls == []


async def test_a_recipient_who_has_had_enough_is_spared_for_now() -> None:
    desk = a_desk()
    desk.refuses = "over-limit"
    sending, provider = a_sending(desk, [])
    answer = await perform(sending, desk)

    assert isinstance(answer, Done)
    assert isinstance(answer.body, Postponed)
    assert answer.body.until > NOON
    assert provider.calls == []


async def test_in_the_test_mode_only_its_numbers_get_anything() -> None:
    desk = a_desk()
    stranger, provider = a_sending(desk, [Accepted()], only_to=frozenset({"+79990000000"}))
    listed, _ = a_sending(desk, provider, only_to=frozenset({REALTOR.phone}))

    assert settled(await perform(stranger, desk)) == ("dropped", "not-whitelisted")
    assert settled(await perform(listed, desk)) == ("sent", None)


async def test_a_lost_answer_is_looked_for_and_adopted() -> None:
    desk = a_desk()
    sending, provider = a_sending(desk, [InDoubt("ReadTimeout"), Missing(), Found("status 0")])

    assert await perform(sending, desk) == Retry("ReadTimeout", after_s=5)
    assert await perform(sending, desk) == Retry("in-doubt", after_s=15)
    assert settled(await perform(sending, desk)) == ("sent", "status 0")
    assert provider.calls == ["send", "look", "look"]


async def test_it_is_sent_again_after_a_minute_of_misses_only() -> None:
    desk = a_desk()
    sending, provider = a_sending(desk, [InDoubt("cut"), Missing(), Missing(), Missing(), Accepted()])
    for desk.age_s in (0, 5, 20, 61):
        answer = await perform(sending, desk)

    assert settled(answer) == ("sent", None)
    assert provider.calls == ["send", "look", "look", "look", "send"]


async def test_a_process_killed_in_the_call_looks_first() -> None:
    desk = a_desk()

    class Deadly(FakeProvider):
        async def send(self, _: UUID, __: str, ___: str) -> Any:
            raise Killed

    sending, _ = a_sending(desk, Deadly([]))
    with pytest.raises(Killed):
        await perform(sending, desk)
    after, provider = a_sending(desk, [Found("status 1", "delivered")])

    assert settled(await perform(after, desk)) == ("delivered", "status 1")
    assert provider.calls == ["look"]


async def test_what_cannot_be_resolved_ends_as_unknown() -> None:
    desk = a_desk()
    sending, provider = a_sending(desk, [InDoubt("cut"), *[NoWord("down")] * 4])
    for desk.age_s in (0, 100, 200, 300, 400):
        answer = await perform(sending, desk)

    assert settled(answer) == ("unknown", "not-resolved")
    assert provider.calls == ["send", *["look"] * 4]


async def test_a_second_sending_in_doubt_keeps_the_count_of_looks() -> None:
    desk = a_desk()
    sending, provider = a_sending(desk, [InDoubt("cut"), Missing(), Missing(), InDoubt("cut"), Missing(), Missing()])
    desk.age_s = 61
    answers = [await perform(sending, desk) for _ in range(5)]

    assert answers[2] == Retry("cut", after_s=30)
    assert settled(answers[4]) == ("unknown", "not-resolved")
    assert provider.calls == ["send", "look", "look", "send", "look", "look"]


@pytest.mark.parametrize("said", [Repeated("9"), Barred("3"), Unreached("ConnectError")])
async def test_a_second_sending_that_did_nothing_leaves_the_first_in_doubt(said: SendAnswer) -> None:
    desk = a_desk()
    desk.attempt, desk.age_s = Attempt("fake", 61, looks=1, missing=1), 61
    sending, _ = a_sending(desk, [Missing(), said])
    answer = await perform(sending, desk)

    assert isinstance(answer, Retry)
    assert not answer.no_effect
    assert desk.attempt is not None


async def test_a_look_at_a_barred_provider_costs_no_look() -> None:
    desk = a_desk()
    desk.attempt = Attempt("fake", 61, looks=1, missing=1)
    sending, _ = a_sending(desk, [Barred("2")])
    answer = await perform(sending, desk)

    assert isinstance(answer, Retry)
    assert (answer.reason, answer.no_effect) == ("barred-2", False)
    assert answer.after_s == pytest.approx(300, abs=2)
    assert desk.attempt == Attempt("fake", 61, looks=1, missing=1)


async def test_a_process_that_was_frozen_does_not_send_what_another_is_sending() -> None:
    desk = a_desk()
    desk.refuses = "another's"
    sending, provider = a_sending(desk, [])

    assert await perform(sending, desk) == Retry("stalled")
    assert provider.calls == []


async def test_a_recipient_who_is_not_known_yet_is_waited_for() -> None:
    desk = a_desk()
    desk.person = None
    sending, provider = a_sending(desk, [])

    assert await perform(sending, desk) == Retry("partner-unknown", no_effect=True)
    assert provider.calls == []


async def test_what_does_not_open_is_parked() -> None:
    desk = a_desk()
    keys = json.dumps({"keys": [{"kty": "oct", "kid": "t2", "k": "T0RmlFvL81_AEmS5uJtmHOxltfV2OjHU5IN-LY3PIuQ"}]})
    sending, _ = a_sending(desk, [], sealer=Sealer(keys))

    assert await perform(sending, desk) == Park("unsealable")


async def test_a_settled_message_is_not_sent_again() -> None:
    desk = a_desk()
    assert desk.message is not None
    desk.message = replace(desk.message, status="sent", provider="fake", settled_at=NOON)
    sending, provider = a_sending(desk, [])

    assert settled(await perform(sending, desk))[0] == "dropped"  # which changes nothing about a settled one
    assert provider.calls == []


async def test_work_without_a_message_is_parked() -> None:
    desk = FakeDesk(None, None)
    sending, _ = a_sending(desk, [])

    assert await perform(sending, desk) == Park("no-such-message")


async def test_logs_tell_ids_and_codes_and_nothing_of_the_content() -> None:
    structlog.reset_defaults()
    desk = a_desk()
    sending, _ = a_sending(desk, [InDoubt("ReadTimeout"), Barred("2")])
    with capture_logs() as logs:
        await perform(sending, desk)
        await perform(sending, desk)

    assert logs[0]["template"] == "confirmed.v1"
    assert logs[0]["code"] == "ReadTimeout"
    for secret in (BUYER.phone, REALTOR.phone, "Иванов", "Клиент", "Петрова"):
        assert secret not in repr(logs)


# --- through the real adapter, to the simulator's process ---


async def test_accepted_then_cut_is_exactly_one_message(smsc: Smsc, sms: Sim) -> None:
    sms.post("fault", {"mode": "accept_then_cut", "count": 1})
    desk = a_desk()
    sending, _ = a_sending(desk, smsc)

    assert await perform(sending, desk) == Retry("RemoteProtocolError", after_s=5)
    assert settled(await perform(sending, desk))[0] == "sent"
    [message] = sms.get("messages")
    assert message["id"] == str(desk.message.message_id if desk.message else None)


async def test_cut_before_it_was_taken_is_sent_again_after_a_minute(smsc: Smsc, sms: Sim) -> None:
    sms.post("fault", {"mode": "down", "count": 1})
    desk = a_desk()
    sending, _ = a_sending(desk, smsc)
    for desk.age_s in (0, 5, 20, 61):
        answer = await perform(sending, desk)

    assert settled(answer) == ("sent", None)
    assert len(sms.get("messages")) == 1


async def test_two_leads_of_one_realtor_do_not_wait_for_each_other(smsc: Smsc, sms: Sim) -> None:
    for lead in (1, 2):
        desk = a_desk(lead)
        sending, _ = a_sending(desk, smsc)

        assert settled(await perform(sending, desk)) == ("sent", None)
    assert len(sms.get("messages")) == 2
