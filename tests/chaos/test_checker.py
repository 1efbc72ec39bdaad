"""The final check finds every kind of fault."""

import copy
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from contracts import topics
from tests.chaos.load import Load, PlannedLead
from tests.chaos.records import Record
from tests.chaos.rules import PARTNER_JOURNAL, compare
from tests.e2e.harness import Person


@dataclass
class Observation:
    """Everything that the checker reads of a system."""

    load: Load
    records: dict[str, list[Record]]
    journal: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    portal: dict[str, list[dict[str, Any]]]

    def violations(self) -> tuple[str, ...]:
        return compare(self.load, self.records, self.journal, self.calls, self.messages, self.portal).violations


KEY = "k1:" + "0" * 64
FIRST, SECOND = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def record(topic: str, kind: str, sequence: int, **body: Any) -> Record:
    headers = {"ce_type": kind, "ce_source": f"/of/{topic}", "ce_id": f"{topic}-{sequence}"}
    headers |= {"ce_sequence": str(sequence), "ce_correlationid": body["lead_id"]}
    return Record(topic, 0, sequence, KEY, headers, repr(body).encode(), body)


def exact() -> Observation:
    """A system without faults: two partners submit one client, and the first holds it."""
    client = Person("Анна Онежская", "+79160000001")
    leads = {FIRST: "p1", SECOND: "p2"}
    planned = [PlannedLead(f"key-{lead_id}", partner, client, "http") for lead_id, partner in leads.items()]
    load = Load({"p1": "+79160000011", "p2": "+79160000012"}, planned, random.Random(1))
    submitted = [
        {"lead_id": lead_id, "partner_id": partner, "number": number, "received_at": f"2026-01-01T00:00:0{number}Z"}
        for number, (lead_id, partner) in enumerate(leads.items(), start=1)
    ]
    load.accepted = {f"key-{body['lead_id']}": body for body in submitted}
    ids: dict[str, Any] = {"lead_id": FIRST, "partner_id": "p1"}
    others: dict[str, Any] = {"lead_id": SECOND, "partner_id": "p2"}
    confirmed = {"template": "confirmed.v1", "status": "sent", "message_id": "m1"}
    rejected = {"template": "rejected.v1", "status": "sent", "message_id": "m2"}
    return Observation(
        load,
        {
            topics.LEADS: [record("leads", "lead-submitted.v1", n, **body) for n, body in enumerate(submitted, 1)],
            topics.VERDICTS: [
                record("verdicts", "lead-confirmed.v1", 1, **ids),
                record("verdicts", "lead-rejected.v1", 2, **others, reason="held-by-partner"),
            ],
            topics.RESERVATIONS: [record("reservations", "reservation-opened.v1", 1, **ids)],
            topics.MESSAGES: [
                record("messages", "sms-status.v1", 1, **ids, **confirmed),
                record("messages", "sms-status.v1", 2, **others, **rejected),
            ],
            topics.DEAD_LETTERS: [],
        },
        [{**ids, "phone": client.phone, "state": "Активен"}],
        [{"set": PARTNER_JOURNAL, "committed": True}],
        [{"id": "m1", "to": "+79160000011"}, {"id": "m2", "to": "+79160000012"}],
        {"p1": [{"lead_id": FIRST, "status": "confirmed"}], "p2": [{"lead_id": SECOND, "status": "rejected"}]},
    )


def test_a_system_without_faults_and_identical_repeats_of_events_pass_the_check() -> None:
    assert exact().violations() == ()
    repeated = exact()
    for records in repeated.records.values():
        records.extend(replace(event, offset=event.offset + 10) for event in list(records))
    assert repeated.violations() == ()


def renumbered(event: Record, number: int) -> Record:
    """The same event under another id, with the sequence number `number`."""
    return replace(event, headers={**event.headers, "ce_id": f"another-{number}", "ce_sequence": str(number)})


FAULTS: dict[str, Callable[[Observation], object]] = {
    "a lead lost": lambda observed: observed.records[topics.LEADS].pop(),
    "a verdict lost": lambda observed: observed.records[topics.VERDICTS].pop(),
    "a second verdict": lambda observed: observed.records[topics.VERDICTS].append(
        renumbered(observed.records[topics.VERDICTS][0], 3)
    ),
    "the second in order confirmed": lambda observed: observed.records[topics.VERDICTS].__setitem__(
        slice(None),
        [
            replace(event, body={**event.body, "lead_id": lead_id})
            for event, lead_id in zip(observed.records[topics.VERDICTS], (SECOND, FIRST), strict=True)
        ],
    ),
    "events in the wrong order": lambda observed: observed.records[topics.VERDICTS].reverse(),
    "a gap in the sequence": lambda observed: observed.records[topics.RESERVATIONS].__setitem__(
        0, renumbered(observed.records["reservations"][0], 2)
    ),
    "a repeat with another content": lambda observed: observed.records[topics.VERDICTS].append(
        replace(observed.records[topics.VERDICTS][0], value=b"{}")
    ),
    "a second reservation": lambda observed: observed.records[topics.RESERVATIONS].append(
        renumbered(observed.records[topics.RESERVATIONS][0], 2)
    ),
    "a reservation missing": lambda observed: observed.records[topics.RESERVATIONS].clear(),
    "a dead letter": lambda observed: observed.records[topics.DEAD_LETTERS].append(observed.records[topics.LEADS][0]),
    "an event of a lead that was not accepted": lambda observed: observed.load.accepted.pop(f"key-{SECOND}"),
    "an entry missing in 1C": lambda observed: observed.journal.clear(),
    "an entry for a rejected lead": lambda observed: observed.journal.append(
        {**observed.journal[0], "lead_id": SECOND, "partner_id": "p2"}
    ),
    "a second write to 1C": lambda observed: observed.calls.append(dict(observed.calls[0])),
    "a second SMS": lambda observed: observed.messages.append(dict(observed.messages[0])),
    "an SMS missing": lambda observed: observed.messages.pop(),
    "an SMS to another realtor": lambda observed: observed.messages[0].update(to="+79160000012"),
    "an SMS without an event": lambda observed: observed.messages.append({"id": "m3", "to": "+79160000011"}),
    "another status shown to the portal": lambda observed: observed.portal["p1"][0].update(status="under-review"),
    "a lead not shown to the portal": lambda observed: observed.portal["p2"].clear(),
    "another number on the receipt": lambda observed: observed.load.accepted.update(
        {f"key-{FIRST}": {**observed.load.accepted[f"key-{FIRST}"], "number": 7}}
    ),
    "a request refused": lambda observed: observed.records[topics.LEADS].append(
        replace(
            observed.records[topics.LEADS][0],
            headers={**renumbered(observed.records["leads"][0], 3).headers, "ce_type": "x"},
        )
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found(fault: str) -> None:
    observed = copy.deepcopy(exact())
    FAULTS[fault](observed)
    assert observed.violations() != ()
