"""Sending: nothing is repeated on a guess, whatever the provider says and wherever the process was killed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
import structlog
from structlog.testing import capture_logs

from chassis.decision import Cause
from chassis.worker import Answer, Done, Job, Park, Retry
from contracts.sealing import Sealer
from services.notifier import domain
from services.notifier.domain import (
    Accepted,
    Attempt,
    Barred,
    Found,
    InDoubt,
    LookAnswer,
    Message,
    Missing,
    NoWord,
    Patience,
    Refused,
    Repeated,
    SendAnswer,
    SmsSettled,
    Unreached,
)
from services.notifier.handlers import Sending
from services.notifier.providers import Provider
from services.notifier.providers.smsc import Smsc
from services.notifier.store import Letter
from tests.notifier.samples import BUYER, NOON, REALTOR, SEALER, cause, opened, partner
from tests.simulators.tests.processes import Sim

PATIENCE = Patience(waits_s=(5, 15, 30, 60), missing_looks=2, resend_after_s=60)


@dataclass
class FakeDesk:
    """The desk in memory. `age_s` is what the clock would make of every attempt."""

    message: Message | None
    person: str | None
    attempt: Attempt | None = None
    age_s: float = 0.0
    stolen: bool = False

    async def letters(self, message_ids: Sequence[UUID]) -> Mapping[UUID, Letter]:
        attempt = replace(self.attempt, age_s=self.age_s) if self.attempt else None
        return {one: Letter(self.message, self.person, attempt) for one in message_ids if self.message}

    async def begin(self, _: UUID, __: str, earlier: Attempt | None) -> bool:
        if (earlier.sends if earlier else 0) != (self.attempt.sends if self.attempt else 0) or self.stolen:
            return False
        self.attempt = Attempt(0, earlier.looks, sends=earlier.sends + 1) if earlier else Attempt(0)
        return True

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
        return self._next("send")

    async def look(self, _: UUID, __: str) -> Any:
        return self._next("look")

    async def close(self) -> None:
        pass

    def _next(self, call: str) -> SendAnswer | LookAnswer:
        self.calls.append(call)
        return self.answers.pop(0)


class Killed(BaseException):
    """The process is gone in the middle of a call."""


def a_desk(lead: int = 1) -> FakeDesk:
    [message] = domain.reservation_opened(domain.Client(), opened(lead), cause(lead), NOON).state.messages
    return FakeDesk(message, partner().person)


def a_sending(desk: FakeDesk, provider: Provider | Iterable[SendAnswer | LookAnswer]) -> tuple[Sending, Any]:
    used = FakeProvider(list(provider)) if isinstance(provider, Iterable) else provider
    return Sending(desk, SEALER, used, PATIENCE), used


async def perform(sending: Sending, desk: FakeDesk) -> Answer:
    ref = str(desk.message.message_id) if desk.message else str(UUID(int=9))
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
    assert desk.attempt == Attempt(0)


async def test_a_refusal_fails_the_message() -> None:
    desk = a_desk()
    sending, _ = a_sending(desk, [Refused("7")])

    assert settled(await perform(sending, desk)) == ("failed", "7")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (Unreached("ConnectError"), Retry("ConnectError", certain=True)),
        (Repeated("9"), Retry("repeated-9", certain=True, after_s=61)),
        (Barred("3"), Retry("barred-3", certain=True, after_s=300)),
    ],
)
async def test_what_certainly_did_nothing_is_tried_again_without_a_look(said: SendAnswer, answer: Retry) -> None:
    desk = a_desk()
    sending, _ = a_sending(desk, [said])

    assert await perform(sending, desk) == answer
    assert desk.attempt is None


async def test_a_barred_provider_is_left_alone() -> None:
    desk = a_desk()
    sending, provider = a_sending(desk, [Barred("2")])
    await perform(sending, desk)
    again = await perform(sending, desk)

    assert isinstance(again, Retry)
    assert again.certain
    assert 290 < (again.after_s or 0) <= 300
    assert provider.calls == ["send"]


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
    after, provider = a_sending(desk, [Found("status 1")])

    assert settled(await perform(after, desk)) == ("sent", "status 1")
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
    desk.attempt, desk.age_s = Attempt(61, looks=1, missing=1), 61
    sending, _ = a_sending(desk, [Missing(), said])
    answer = await perform(sending, desk)

    assert isinstance(answer, Retry)
    assert not answer.certain
    assert desk.attempt is not None


async def test_a_look_at_a_barred_provider_costs_no_look() -> None:
    desk = a_desk()
    desk.attempt = Attempt(61, looks=1, missing=1)
    sending, _ = a_sending(desk, [Barred("2")])

    assert await perform(sending, desk) == Retry("barred-2", after_s=300)
    assert desk.attempt == Attempt(61, looks=1, missing=1)


async def test_a_process_that_was_frozen_does_not_send_what_another_is_sending() -> None:
    desk = a_desk()
    desk.stolen = True
    sending, provider = a_sending(desk, [])

    assert await perform(sending, desk) == Retry("stalled")
    assert provider.calls == []


async def test_a_recipient_who_is_not_known_yet_is_waited_for() -> None:
    desk = a_desk()
    desk.person = None
    sending, provider = a_sending(desk, [])

    assert await perform(sending, desk) == Retry("partner-unknown", certain=True)
    assert provider.calls == []


async def test_what_does_not_open_is_parked() -> None:
    desk = a_desk()
    keys = json.dumps({"keys": [{"kty": "oct", "kid": "t2", "k": "T0RmlFvL81_AEmS5uJtmHOxltfV2OjHU5IN-LY3PIuQ"}]})
    sending = Sending(desk, Sealer(keys), FakeProvider([]), PATIENCE)

    assert await perform(sending, desk) == Park("unsealable")


async def test_a_settled_message_is_not_sent_again() -> None:
    desk = a_desk()
    assert desk.message is not None
    desk.message = replace(desk.message, status="sent", provider="fake", settled_at=NOON)
    sending, provider = a_sending(desk, [])

    assert settled(await perform(sending, desk)) == ("sent", None)
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
