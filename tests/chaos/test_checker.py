"""The final check finds each kind of fault it is there for."""

import copy
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from contracts import topics
from tests.chaos.checker import PARTNER_JOURNAL, Record, compare
from tests.chaos.load import Load, Wanted
from tests.e2e.world import Person


@dataclass
class Seen:
    """All that is read of a system: two partners race for one client, the first holds it."""

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


def exact() -> Seen:
    client = Person("Анна Онежская", "+79160000001")
    leads = {FIRST: "p1", SECOND: "p2"}
    wanted = [Wanted(f"key-{lead_id}", partner, client, "http") for lead_id, partner in leads.items()]
    load = Load({"p1": "+79160000011", "p2": "+79160000012"}, wanted, random.Random(1))
    submitted = [
        {"lead_id": lead_id, "partner_id": partner, "number": number, "received_at": f"2026-01-01T00:00:0{number}Z"}
        for number, (lead_id, partner) in enumerate(leads.items(), start=1)
    ]
    load.taken = {f"key-{body['lead_id']}": body for body in submitted}
    ids: dict[str, Any] = {"lead_id": FIRST, "partner_id": "p1"}
    others: dict[str, Any] = {"lead_id": SECOND, "partner_id": "p2"}
    told = {"template": "confirmed.v1", "status": "sent", "message_id": "m1"}
    refused = {"template": "rejected.v1", "status": "sent", "message_id": "m2"}
    return Seen(
        load,
        {
            topics.LEADS: [record("leads", "lead-submitted.v1", n, **body) for n, body in enumerate(submitted, 1)],
            topics.VERDICTS: [
                record("verdicts", "lead-confirmed.v1", 1, **ids),
                record("verdicts", "lead-rejected.v1", 2, **others, reason="held-by-partner"),
            ],
            topics.RESERVATIONS: [record("reservations", "reservation-opened.v1", 1, **ids)],
            topics.MESSAGES: [
                record("messages", "sms-status.v1", 1, **ids, **told),
                record("messages", "sms-status.v1", 2, **others, **refused),
            ],
            topics.DEAD_LETTERS: [],
        },
        [{**ids, "phone": client.phone, "state": "Активен"}],
        [{"set": PARTNER_JOURNAL, "committed": True}],
        [{"id": "m1", "to": "+79160000011"}, {"id": "m2", "to": "+79160000012"}],
        {"p1": [{"lead_id": FIRST, "status": "confirmed"}], "p2": [{"lead_id": SECOND, "status": "rejected"}]},
    )


def test_what_is_exact_passes_and_an_identical_repeat_of_an_event_does_too() -> None:
    assert exact().violations() == ()
    repeated = exact()
    for records in repeated.records.values():
        records.extend(replace(one, offset=one.offset + 10) for one in list(records))
    assert repeated.violations() == ()


def renamed(one: Record, number: int) -> Record:
    return replace(one, headers={**one.headers, "ce_id": f"another-{number}", "ce_sequence": str(number)})


FAULTS: dict[str, Callable[[Seen], object]] = {
    "a lead lost": lambda seen: seen.records[topics.LEADS].pop(),
    "a verdict lost": lambda seen: seen.records[topics.VERDICTS].pop(),
    "a second verdict": lambda seen: seen.records[topics.VERDICTS].append(renamed(seen.records[topics.VERDICTS][0], 3)),
    "the second in order confirmed": lambda seen: seen.records[topics.VERDICTS].__setitem__(
        slice(None),
        [
            replace(one, body={**one.body, "lead_id": lead_id})
            for one, lead_id in zip(seen.records[topics.VERDICTS], (SECOND, FIRST), strict=True)
        ],
    ),
    "an order turned round": lambda seen: seen.records[topics.VERDICTS].reverse(),
    "a gap": lambda seen: seen.records[topics.RESERVATIONS].__setitem__(0, renamed(seen.records["reservations"][0], 2)),
    "a repeat with another content": lambda seen: seen.records[topics.VERDICTS].append(
        replace(seen.records[topics.VERDICTS][0], value=b"{}")
    ),
    "a second reservation": lambda seen: seen.records[topics.RESERVATIONS].append(
        renamed(seen.records[topics.RESERVATIONS][0], 2)
    ),
    "a reservation missing": lambda seen: seen.records[topics.RESERVATIONS].clear(),
    "a dead letter": lambda seen: seen.records[topics.DEAD_LETTERS].append(seen.records[topics.LEADS][0]),
    "a lead nobody sent": lambda seen: seen.load.taken.pop(f"key-{SECOND}"),
    "an entry missing in 1C": lambda seen: seen.journal.clear(),
    "an entry for a rejected lead": lambda seen: seen.journal.append(
        {**seen.journal[0], "lead_id": SECOND, "partner_id": "p2"}
    ),
    "a second write to 1C": lambda seen: seen.calls.append(dict(seen.calls[0])),
    "a second SMS": lambda seen: seen.messages.append(dict(seen.messages[0])),
    "an SMS missing": lambda seen: seen.messages.pop(),
    "an SMS to another realtor": lambda seen: seen.messages[0].update(to="+79160000012"),
    "an SMS of which nobody tells": lambda seen: seen.messages.append({"id": "m3", "to": "+79160000011"}),
    "another status on the portal": lambda seen: seen.portal["p1"][0].update(status="under-review"),
    "a lead missing on the portal": lambda seen: seen.portal["p2"].clear(),
    "another number on the receipt": lambda seen: seen.load.taken.update(
        {f"key-{FIRST}": {**seen.load.taken[f"key-{FIRST}"], "number": 7}}
    ),
    "a request refused": lambda seen: seen.records[topics.LEADS].append(
        replace(seen.records[topics.LEADS][0], headers={**renamed(seen.records["leads"][0], 3).headers, "ce_type": "x"})
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found(fault: str) -> None:
    seen = copy.deepcopy(exact())
    FAULTS[fault](seen)
    assert seen.violations() != ()
