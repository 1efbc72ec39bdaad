"""Topics have no order among each other: whatever it is, and whatever comes twice, the verdicts are the same."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from contracts.leads import LeadSubmitted
from contracts.verdicts import LeadConfirmed, LeadRejected
from services.onec_gateway.domain import CheckAnswered
from services.onec_gateway.facts import Client
from tests.onec_gateway.samples import MINUTE, NOON, UNTIL, Story, answered, expired, lead_id, opened, submitted

DAY = timedelta(days=1)
# Around every border there is: the grant of the first lead, of a later one, the end of the term.
MOMENTS = sorted(
    [NOON, NOON + MINUTE, NOON + 2 * MINUTE, NOON + DAY, UNTIL - MINUTE, UNTIL, UNTIL + MINUTE, UNTIL + DAY]
)


class Scene:
    """Leads, the answer 1C gives to each check, and the reservation that follows from who is confirmed."""

    def __init__(self, leads: Sequence[LeadSubmitted], enquiry: datetime | None) -> None:
        self.leads = list(leads)
        self.answers = {
            str(lead.lead_id): answered(lead.number, *([enquiry] if enquiry else []), at=lead.received_at + MINUTE)
            for lead in leads
        }
        self.reservations: list[Any] = []
        story = self.play([(lead, False) for lead in self.leads])
        if story.client.hold is not None:
            hold = story.client.hold
            said = (hold.lead_id.int, hold.partner_id, hold.confirmed_at, hold.confirmed_at + (UNTIL - NOON - MINUTE))
            self.reservations = [opened(*said), expired(*said)]

    def play(self, order: Sequence[tuple[Any, bool]]) -> Story:
        """Tell `order`; the answers to checks come as soon as each message's flag says, else at the end."""
        story, seen = Story(), 0
        for message, answer_now in order:
            story.tell(message, _now(message))
            if answer_now:
                seen = self._answer(story, seen)
        while seen < len(story.tasks):
            seen = self._answer(story, seen)
        return story

    def _answer(self, story: Story, seen: int) -> int:
        task = story.tasks[seen] if seen < len(story.tasks) else None
        if task is not None and task.kind == "check":
            answer = self.answers[task.ref]
            story.tell(answer, _now(answer))
        return min(seen + 1, len(story.tasks))


def _now(message: Any) -> datetime:
    # Fixed for each message, so that the content of what is told can be compared.
    if isinstance(message, LeadSubmitted):
        return message.received_at
    return message.checked_at if isinstance(message, CheckAnswered) else message.reserved_until


def _state(client: Client) -> tuple[Any, ...]:
    """What must agree: all but the moment of a rejection, and how far a check came that nobody needed any more."""
    leads = {
        key: replace(
            lead,
            check_asked=False,
            checked_at=None,
            enquiries=(),
            verdict=lead.verdict and (replace(lead.verdict, at=NOON) if lead.verdict.reason else lead.verdict),
        )
        for key, lead in client.leads.items()
    }
    return client.hold, leads, dict(client.terms)


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
    """One interleaving that keeps the order of each topic, with stretches of a topic read twice."""
    queues = [_with_repeats(draw, scene.leads), _with_repeats(draw, scene.reservations)]
    order: list[tuple[Any, bool]] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        order.append((queue.pop(0), draw(st.booleans())))
    return order


def _with_repeats(draw: st.DrawFn, messages: Sequence[Any]) -> list[Any]:
    """As a consumer that was killed reads it: back to an earlier offset, and on."""
    back_from = draw(st.integers(0, len(messages)))
    back_to = draw(st.integers(0, back_from))
    return [*messages[:back_from], *messages[back_to:]]


@given(st.data())
def test_every_interleaving_gives_the_same_verdicts_and_the_same_state(data: st.DataObject) -> None:
    scene = data.draw(scenes())
    expected = scene.play([*((lead, True) for lead in scene.leads), *((one, True) for one in scene.reservations)])

    actual = scene.play(data.draw(orders(scene)))

    assert actual.told == expected.told
    assert len(actual.heard(LeadConfirmed, LeadRejected)) == len(actual.told), "a verdict was told twice"
    assert _state(actual.client) == _state(expected.client)


@given(st.data())
def test_no_more_than_one_lead_of_a_client_is_ever_confirmed(data: st.DataObject) -> None:
    scene = data.draw(scenes())

    story = scene.play(data.draw(orders(scene)))

    confirmed = [number for number, verdict in story.verdicts.items() if verdict.startswith("confirmed")]
    assert len(confirmed) <= 1
    assert all(story.client.hold and story.client.hold.lead_id == lead_id(number) for number in confirmed)


@given(st.data())
def test_with_every_reservation_over_no_lead_is_left_under_review(data: st.DataObject) -> None:
    scene = data.draw(scenes())

    story = scene.play(data.draw(orders(scene)))

    assert story.client.head() is None
