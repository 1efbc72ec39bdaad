"""Kafka keeps no order between topics: in any interleaving, with any repetition, the verdicts are the same."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.leads import LeadSubmitted
from contracts.verdicts import LeadConfirmed, LeadRejected
from services.onec_gateway.domain.inputs import CheckAnswered
from services.onec_gateway.domain.model import ClientState
from tests.onec_gateway.driver import DomainDriver
from tests.onec_gateway.samples import DAY, MINUTE, NOON, UNTIL, answered, expired, lead_id, opened, submitted

# Around every border: the grant of the first lead, the grant of a later lead, the end of the reservation.
MOMENTS = sorted(
    [NOON, NOON + MINUTE, NOON + 2 * MINUTE, NOON + DAY, UNTIL - MINUTE, UNTIL, UNTIL + MINUTE, UNTIL + DAY]
)


class Scene:
    """Leads, the result of each check in 1C, and the events of the reservation that follows from the confirmation."""

    def __init__(self, leads: Sequence[LeadSubmitted], enquiry: datetime | None) -> None:
        self.leads = list(leads)
        self.answers = {
            str(lead.lead_id): answered(lead.number, *([enquiry] if enquiry else []), at=lead.received_at + MINUTE)
            for lead in leads
        }
        self.reservations: list[Any] = []
        driver = self.play([(lead, False) for lead in self.leads])
        if driver.client.hold is not None:
            hold = driver.client.hold
            fields = (hold.lead_id.int, hold.partner_id, hold.confirmed_at, hold.confirmed_at + (UNTIL - NOON - MINUTE))
            self.reservations = [opened(*fields), expired(*fields)]

    def play(self, order: Sequence[tuple[Any, bool]]) -> DomainDriver:
        """Apply the messages in this order. After a message with a true flag the next check is answered; the other
        checks are answered at the end."""
        driver, seen = DomainDriver(), 0
        for message, answer_now in order:
            driver.apply(message, _now(message))
            if answer_now:
                seen = self._answer(driver, seen)
        while seen < len(driver.tasks):
            seen = self._answer(driver, seen)
        return driver

    def _answer(self, driver: DomainDriver, seen: int) -> int:
        task = driver.tasks[seen] if seen < len(driver.tasks) else None
        if task is not None and task.kind == "check":
            answer = self.answers[task.ref]
            driver.apply(answer, _now(answer))
        return min(seen + 1, len(driver.tasks))


def _now(message: Any) -> datetime:
    # Fixed for each message, so that the contents of the events can be compared.
    if isinstance(message, LeadSubmitted):
        return message.received_at
    return message.checked_at if isinstance(message, CheckAnswered) else message.reserved_until


def _state(client: ClientState) -> tuple[Any, ...]:
    """The state without what may differ: the time of a rejection, and the progress of a check that became needless."""
    leads = {
        key: replace(
            lead,
            check_requested=False,
            checked_at=None,
            enquiries=(),
            verdict=lead.verdict and (replace(lead.verdict, at=NOON) if lead.verdict.reason else lead.verdict),
        )
        for key, lead in client.leads.items()
    }
    return client.hold, leads, dict(client.reservations)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    moments = sorted(draw(st.lists(st.sampled_from(MOMENTS), min_size=1, max_size=5)))
    partners = draw(st.lists(st.sampled_from(["p1", "p2"]), min_size=len(moments), max_size=len(moments)))
    leads = [
        submitted(number, partner, at)
        for number, (partner, at) in enumerate(zip(partners, moments, strict=True), start=1)
    ]
    return Scene(leads, draw(st.none() | st.sampled_from([moment + timedelta(seconds=1) for moment in MOMENTS])))


@st.composite
def orders(draw: st.DrawFn, scene: Scene) -> list[tuple[Any, bool]]:
    """An interleaving that keeps the order of each topic and may read a part of a topic twice."""
    queues = [_with_repeats(draw, scene.leads), _with_repeats(draw, scene.reservations)]
    order: list[tuple[Any, bool]] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        order.append((queue.pop(0), draw(st.booleans())))
    return order


def _with_repeats(draw: st.DrawFn, messages: Sequence[Any]) -> list[Any]:
    """The messages as a killed consumer reads them: it goes back to an earlier offset and on from there."""
    back_from = draw(st.integers(0, len(messages)))
    back_to = draw(st.integers(0, back_from))
    return [*messages[:back_from], *messages[back_to:]]


@given(st.data())
def test_every_interleaving_gives_the_same_verdicts_and_the_same_state(data: st.DataObject) -> None:
    scene = data.draw(scenes())
    expected = scene.play([*((lead, True) for lead in scene.leads), *((one, True) for one in scene.reservations)])

    actual = scene.play(data.draw(orders(scene)))

    assert actual.verdicts_by_event_id == expected.verdicts_by_event_id
    assert len(actual.published(LeadConfirmed, LeadRejected)) == len(actual.verdicts_by_event_id), (
        "a verdict was published twice"
    )
    assert _state(actual.client) == _state(expected.client)


@given(st.data())
def test_at_most_one_lead_of_a_client_is_ever_confirmed(data: st.DataObject) -> None:
    scene = data.draw(scenes())

    driver = scene.play(data.draw(orders(scene)))

    confirmed = [number for number, verdict in driver.verdicts.items() if verdict.startswith("confirmed")]
    assert len(confirmed) <= 1
    assert all(driver.client.hold and driver.client.hold.lead_id == lead_id(number) for number in confirmed)


@given(st.data())
def test_no_lead_is_under_review_once_every_reservation_has_ended(data: st.DataObject) -> None:
    scene = data.draw(scenes())

    driver = scene.play(data.draw(orders(scene)))

    assert driver.client.next_in_queue() is None
