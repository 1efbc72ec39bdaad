"""What a work row carries is the same whether its first attempt has it from memory or a later one from the database."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chassis.database.writing import as_json
from chassis.decision import Cause, Task
from contracts.reservations import ReservationClosed, ReservationReinstated
from services.notifier.domain.model import ClientState as SmsState
from services.onec_gateway.domain.inputs import EnquirySeen, HandedOver
from services.onec_gateway.domain.model import Enquiry
from services.onec_gateway.domain.restoration import RestoreRequested, Restoring, restore_requested
from services.onec_gateway.domain.tasks import TAKE_BACK, read_arguments
from tests.notifier import decisions, samples
from tests.onec_gateway.driver import held_client
from tests.onec_gateway.samples import DAY, LATER, NOON, REQUEST, UNTIL, extended, lead_id, opened, reinstatement
from tests.test_wiring import wiring


def test_payload_of_every_kind_of_work_is_the_same_after_a_trip_through_the_database() -> None:
    for task in tasks():
        (after,) = json.loads(as_json([dict(task.payload)]))
        assert types(after) == types(dict(task.payload)), task.kind
        assert after == task.payload, task.kind


def test_arguments_of_every_kind_of_work_are_read_as_the_rules_wrote_them() -> None:
    for task in gateway_tasks():
        read_arguments(task.kind, task.ref, json.loads(as_json([dict(task.payload)]))[0])


def test_rows_that_this_version_cannot_read_are_refused() -> None:
    (take_back,) = (task for task in gateway_tasks() if task.kind == TAKE_BACK)

    read_arguments(TAKE_BACK, take_back.ref, {**take_back.payload, "state": None})
    for damage in ({"state": "sleeping"}, {"enquiry": 7}, {"lead_id": "7"}, {"partner_id": None}):
        with pytest.raises(ValueError, match=r"argument|UUID"):
            read_arguments(TAKE_BACK, take_back.ref, {**take_back.payload, **damage})


async def test_there_is_a_sample_of_every_kind_of_work() -> None:
    assert {task.kind for task in tasks()} == {work.kind for table in wiring().values() for work in table.work}


def tasks() -> Iterator[Task]:
    """Tasks of all kinds, as the rules make them."""
    yield from gateway_tasks()
    yield from decisions.notify(SmsState(), samples.opened()).tasks


def gateway_tasks() -> Iterator[Task]:
    """One client is extended after a walk-in, and withdrawn; another is handed over and returned; an entry is written
    anew."""
    walk_in = EnquirySeen(Enquiry("walk-in", NOON + DAY), NOON + DAY)
    withdrawn = ReservationClosed(**opened(1).model_dump(), closed_at=NOON + 3 * DAY, outcome="withdrawn")
    walked_in = held_client().apply(walk_in, NOON + DAY).apply(extended(), NOON + 2 * DAY)
    yield from walked_in.apply(withdrawn, NOON + 3 * DAY).tasks
    returned = held_client().expire().apply(HandedOver(lead_id(1), UNTIL, "ours"), UNTIL)
    fields = {**opened(1).model_dump(), "confirmed_at": UNTIL + DAY, "reserved_until": LATER}
    reinstated = ReservationReinstated(**fields, request_id=REQUEST, reinstated_at=UNTIL + DAY)
    yield from returned.apply(reinstatement(), UNTIL + DAY).apply(reinstated, UNTIL + DAY).tasks

    restore = RestoreRequested(lead_id(1), REQUEST, "Ольга", "сверка", "date-edited")
    yield from restore_requested(Restoring(returned.client), restore, Cause("c", "c"), UNTIL + DAY).tasks


def types(value: Any) -> Any:
    """The types of a payload's values, as a structure like the payload."""
    if isinstance(value, dict):
        return {key: types(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return (type(value), [types(item) for item in value])
    return type(value)
