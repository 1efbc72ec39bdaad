"""1C for the state machine: the enquiries of the sales office, both journals, and the gateway's queue of calls.

The calls of one client are made one at a time, in the order in which they were requested, as workers make them. After
each write the client must be active in at most one journal.
"""

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from chassis.database.writing import as_json
from chassis.decision import Task
from services.onec_gateway.domain import tasks
from services.onec_gateway.domain.inputs import CheckAnswered, HandedOver, JournalEntered, JournalUpdated, TakenBack
from services.onec_gateway.domain.model import Enquiry, Sale


class OneCModel:
    """`office`: the office's enquiries by reference. `entries`: the state of each lead's entry in the partner journal.

    `handed_over`: the gateway's enquiries that are not deleted, by reference, with the lead of each. `marks`: the lead
    that is marked on an enquiry of the office.
    """

    def __init__(self) -> None:
        self.office: dict[str, Enquiry] = {}
        self.sales: dict[str, Sale] = {}
        self.entries: dict[str, str] = {}
        self.handed_over: dict[str, tuple[str, datetime]] = {}
        self.marks: dict[str, str] = {}
        self.calls: deque[Task] = deque()
        self._requested: set[tuple[str, str]] = set()
        self._count = 0

    def enter_enquiry(self, date: datetime) -> str:
        """Enter an enquiry of the office with this date; return its reference."""
        self._count += 1
        ref = f"office-{self._count}"
        self.office[ref] = Enquiry(ref, date, f"0000-{self._count:06d}")
        return ref

    def delete_enquiry(self, ref: str) -> Enquiry:
        """Delete an enquiry of the office; return it as it was."""
        self.marks.pop(ref, None)
        return self.office.pop(ref)

    def request(self, requested: Iterable[Task]) -> None:
        """Add calls to the queue; a second call of one kind with the same reference is ignored, as in the table."""
        for task in requested:
            if (task.kind, task.ref) not in self._requested:
                self._requested.add((task.kind, task.ref))
                payload = orjson.loads(as_json([task.payload]))[0]
                self.calls.append(Task(task.kind, task.ref, payload, task.cause))

    def perform(self, now: datetime) -> Any:
        """Make the first call of the queue; return its result, an input of the gateway."""
        task = self.calls.popleft()
        lead = str(task.payload.get("lead_id", task.ref))
        lead_id = UUID(lead)
        match task.kind:
            case tasks.CHECK:
                return CheckAnswered(lead_id, now, self._enquiries(), tuple(self.sales.values()))
            case tasks.PARTNER_JOURNAL:
                self._write(lead, "active")
                return JournalEntered(lead_id, now, self._enquiries())
            case tasks.JOURNAL_UPDATE:
                self._write(lead, task.payload["state"])
            case tasks.HAND_OVER:
                self._write(lead, "expired")
                self._count += 1
                ref = f"handed-over-{self._count}"
                self.handed_over[ref] = (lead, datetime.fromisoformat(task.payload["expired_at"]))
                self._check_active_at_most_once()
                return HandedOver(lead_id, now, ref)
            case tasks.TAKE_BACK:
                self.handed_over = {ref: own for ref, own in self.handed_over.items() if own[0] != lead}
                self._write(lead, task.payload["state"])
                return TakenBack(lead_id, now)
            case tasks.MARK_ENQUIRY:
                if task.payload["enquiry"] in self.office:
                    self.marks[task.payload["enquiry"]] = lead
            case tasks.UNMARK_ENQUIRY:
                if self.marks.get(task.payload["enquiry"]) == lead:
                    del self.marks[task.payload["enquiry"]]
            case _:
                raise AssertionError(f"a call of an unknown kind: {task.kind}")
        return JournalUpdated(lead_id, now)

    def _enquiries(self) -> tuple[Enquiry, ...]:
        own = (Enquiry(ref, date, ref, ours=True) for ref, (_, date) in self.handed_over.items())
        return (*self.office.values(), *own)

    def _write(self, lead: str, state: str) -> None:
        self.entries[lead] = state
        self._check_active_at_most_once()

    def _check_active_at_most_once(self) -> None:
        active = [lead for lead, state in self.entries.items() if state == "active"]
        assert len(active) + len(self.handed_over) <= 1, "the client is active in two places of 1C"
