"""The rules of the final check, on data that was read: topics, 1C, SMS and what the portal shows."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts import topics
from tests.chaos.idle import EVENT_TOPICS
from tests.chaos.load import Load
from tests.chaos.records import Record

PARTNER_JOURNAL = "InformationRegister_ЖурналПартнеров"
_LETTER_FIELDS = frozenset({"topic", "partition", "offset", "reason", "attempts", "consumer", "service", "ce_type"})


@dataclass(frozen=True, slots=True)
class Report:
    """The counts of everything that was compared, and a line for every rule that does not hold."""

    counts: dict[str, int]
    violations: tuple[str, ...]


def compare(
    load: Load,
    records: Mapping[str, Sequence[Record]],
    journal: Sequence[Mapping[str, Any]],
    calls: Sequence[Mapping[str, Any]] | None,
    messages: Sequence[Mapping[str, Any]],
    portal: Mapping[str, Sequence[Mapping[str, Any]]],
) -> Report:
    """Compare what the portal submitted with what was read.

    `records` are by topic; `journal` and `calls` are 1C's (None: calls are not compared); `messages` are the SMS
    provider's; `portal` has the leads of each partner as the portal sees them.
    """
    rules = _Rules(load)
    rules.violations += load.violations
    rules.expect(not load.unanswered(), f"{len(load.unanswered())} leads were never accepted")
    rules.topics(records)
    rules.onec(journal, calls)
    rules.sms(messages)
    for partner_id, leads in portal.items():
        rules.portal(partner_id, leads)
    return Report(dict(rules.counts), tuple(rules.violations))


class _Rules:
    """Collects counts and violations. `topics` comes first: the other rules use what it finds out about leads."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.counts: Counter[str] = Counter(
            planned=len(load.planned),
            by_http=len(load.accepted),
            by_topic=len(load.sent),
            responses=len(load.responses),
            no_response=sum(response.status == 0 for response in load.responses),
            unavailable=sum(response.status == 503 for response in load.responses),
        )
        self.violations: list[str] = []
        self._status: dict[str, str] = {}
        self._reason: dict[str, str] = {}
        self._partner: dict[str, str] = {}
        self._message: dict[str, str] = {}
        self._phone: dict[str, str] = {}

    def expect(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)

    def topics(self, records: Mapping[str, Sequence[Record]]) -> None:
        dead = records[topics.DEAD_LETTERS]
        self.counts["dead_letters"] = len(dead)
        for letter in dead[:5]:
            shown = {name: value for name, value in letter.body.items() if name in _LETTER_FIELDS}
            self.violations.append(f"dead letter: {shown}")
        ours = {name: self._firsts(name, records[name]) for name in EVENT_TOPICS}
        self._leads(ours[topics.LEADS])
        self._verdicts(ours[topics.VERDICTS])
        self._reservations(ours[topics.RESERVATIONS])
        self._messages(ours[topics.MESSAGES])

    def _firsts(self, name: str, records: Iterable[Record]) -> list[Record]:
        """The first occurrence of every event of the load's partners.

        Repeats of an event must have the same content. The events of one client and source must be in sequence.
        """
        firsts: dict[tuple[str, str], Record] = {}
        in_order: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in records:
            if record.body.get("partner_id") not in self.load.partners:
                continue
            self.counts[name] += 1
            first = firsts.setdefault(record.identity, record)
            if first is record:
                in_order[record.headers["ce_source"], record.key].append(record)
                continue
            self.counts[f"{name}, repeats"] += 1
            same = (first.key, first.partition, first.headers, first.value)
            self.expect(
                same == (record.key, record.partition, record.headers, record.value),
                f"{name}: {record.kind} {record.headers['ce_id']} was repeated with another content",
            )
        for (source, key), events in in_order.items():
            numbers = [event.headers.get("ce_sequence") for event in events]
            expected = [str(number) for number in range(1, len(events) + 1)]
            where = f"partition {events[0].partition}, offsets {[event.offset for event in events]}"
            self.expect(numbers == expected, f"{name}: {source} has {key[:16]}… in the order {numbers} ({where})")
        return list(firsts.values())

    def _leads(self, records: Sequence[Record]) -> None:
        submitted: dict[str, Record] = {}
        by_correlation: dict[str, set[str]] = defaultdict(set)
        for record in records:
            if record.kind != "lead-submitted.v1":
                self.violations.append(f"leads: {record.kind} {record.body.get('reason')}")
                continue
            self.expect(record.lead_id not in submitted, f"{record.lead_id}: submitted twice, under two ids")
            submitted.setdefault(record.lead_id, record)
            by_correlation[record.headers["ce_correlationid"]].add(record.lead_id)
        phones: dict[str, str] = {}
        accepted: set[str] = set()
        for planned in self.load.planned:
            if planned.key in self.load.accepted:
                response = self.load.accepted[planned.key]
                lead_id, number = response["lead_id"], response.get("number")
                published = submitted[lead_id].body["number"] if lead_id in submitted else None
                self.expect(
                    published == number, f"{lead_id}: number {number} in the response, {published} in the event"
                )
            elif planned.key in self.load.sent:
                ids = by_correlation.get(planned.key, set())
                self.expect(len(ids) == 1, f"{planned.key}: sent on the topic once, became {len(ids)} leads")
                lead_id = next(iter(ids), f"none of {planned.key}")
            else:
                continue
            accepted.add(lead_id)
            self._partner[lead_id], self._phone[lead_id] = planned.partner_id, planned.client.phone
            if lead_id not in submitted:
                self.violations.append(f"{lead_id}: accepted, and no event was published")
                continue
            event = submitted[lead_id]
            self.expect(event.body["partner_id"] == planned.partner_id, f"{lead_id}: the event has another partner")
            first_key = phones.setdefault(planned.client.phone, event.key)
            self.expect(first_key == event.key, f"{lead_id}: one phone under two client keys")
        for lead_id in submitted.keys() - accepted:
            self.violations.append(f"{lead_id}: an event was published, and no response accepted the lead")
        self.counts["leads accepted"] = len(accepted)
        self.counts["clients"] = len(phones)
        self._order(submitted)

    def _order(self, submitted: Mapping[str, Record]) -> None:
        """By the order of receipt, decide which lead must be confirmed and why each other lead must be rejected."""
        by_client: dict[str, list[Record]] = defaultdict(list)
        for event in submitted.values():
            by_client[event.key].append(event)
        for key, events in by_client.items():
            numbers = [event.body["number"] for event in events]
            times = [event.body["received_at"] for event in events]
            self.expect(numbers == sorted(set(numbers)), f"{key[:16]}…: numbers are {numbers} on the topic")
            self.expect(times == sorted(set(times)), f"{key[:16]}…: times of receipt are {times} on the topic")
            first, *rest = sorted(events, key=lambda event: int(event.body["number"]))
            self._status[first.lead_id] = "confirmed"
            for event in rest:
                self._status[event.lead_id] = "rejected"
                own = event.body["partner_id"] == first.body["partner_id"]
                self._reason[event.lead_id] = "already-yours" if own else "held-by-partner"
        self.counts["must be confirmed"] = sum(status == "confirmed" for status in self._status.values())

    def _verdicts(self, records: Sequence[Record]) -> None:
        verdicts = _by_lead(records)
        for lead_id, status in self._status.items():
            kinds = [event.kind for event in verdicts.get(lead_id, ())]
            self.expect(kinds == [f"lead-{status}.v1"], f"{lead_id}: must be {status}, verdicts are {kinds}")
            reasons = [event.body["reason"] for event in verdicts.get(lead_id, ()) if "reason" in event.body]
            wanted = [self._reason[lead_id]] if lead_id in self._reason else []
            self.expect(reasons == wanted, f"{lead_id}: reasons are {reasons}, must be {wanted}")
        self._unknown_leads("a verdict", verdicts)

    def _reservations(self, records: Sequence[Record]) -> None:
        opened = _by_lead(records)
        for lead_id, status in self._status.items():
            kinds = [event.kind for event in opened.get(lead_id, ())]
            wanted = ["reservation-opened.v1"] if status == "confirmed" else []
            self.expect(kinds == wanted, f"{lead_id}: {status}, reservation events are {kinds}")
        self._unknown_leads("a reservation", opened)

    def _messages(self, records: Sequence[Record]) -> None:
        statuses = _by_lead(records)
        for lead_id, status in self._status.items():
            found = [(event.body["template"], event.body["status"]) for event in statuses.get(lead_id, ())]
            template = "already-yours.v1" if self._reason.get(lead_id) == "already-yours" else f"{status}.v1"
            # The provider's delivery report can be missing, and can arrive before the response to the call.
            first, *more = found or [("", "")]
            good = first in ((template, "sent"), (template, "delivered")) and more in ([], [(template, "delivered")])
            self.expect(good, f"{lead_id}: the SMS must be {template}, its events are {found}")
        self._message = {event.body["message_id"]: event.lead_id for event in records}
        self._unknown_leads("a message", statuses)

    def onec(self, journal: Sequence[Mapping[str, Any]], calls: Sequence[Mapping[str, Any]] | None) -> None:
        entries = Counter(entry["lead_id"] for entry in journal if entry["partner_id"] in self.load.partners)
        self.counts["journal entries"] = entries.total()
        for lead_id, status in self._status.items():
            wanted = int(status == "confirmed")
            self.expect(entries[lead_id] == wanted, f"{lead_id}: {status}, {entries[lead_id]} entries in 1C's journal")
        for entry in journal:
            if entry["partner_id"] in self.load.partners:
                held = (entry["partner_id"], entry["phone"][-10:], entry["state"])
                wanted_entry = (
                    self._partner.get(entry["lead_id"]),
                    self._phone.get(entry["lead_id"], "")[-10:],
                    "Активен",
                )
                self.expect(held == wanted_entry, f"{entry['lead_id']}: 1C's entry is not what was submitted")
        if calls is None:
            return
        writes = Counter(call["set"] for call in calls if call["committed"])
        self.counts["1C calls"] = len(calls)
        self.expect(
            writes == Counter({PARTNER_JOURNAL: entries.total()} if entries else {}),
            f"1C committed the writes {dict(writes)} for {entries.total()} entries",
        )

    def sms(self, messages: Sequence[Mapping[str, Any]]) -> None:
        phones = set(self.load.partners.values())
        ours = [message for message in messages if message["to"] in phones]
        self.counts["SMS"] = len(ours)
        got: dict[str, list[str]] = defaultdict(list)
        for message in ours:
            lead_id = self._message.get(message["id"])
            if lead_id is None:
                self.violations.append(f"SMS {message['id']}: was sent, and no event was published")
                continue
            got[lead_id].append(message["to"])
        for lead_id in self._status:
            wanted = [self.load.partners[self._partner[lead_id]]] if lead_id in self._partner else []
            self.expect(got[lead_id] == wanted, f"{lead_id}: {len(got[lead_id])} SMS, or not to its realtor")

    def portal(self, partner_id: str, leads: Sequence[Mapping[str, Any]]) -> None:
        shown = Counter(lead["lead_id"] for lead in leads)
        wanted = {lead_id for lead_id, partner in self._partner.items() if partner == partner_id}
        self.counts["shown to the portal"] += shown.total()
        self.expect(shown == Counter(wanted), f"{partner_id}: the portal sees {shown.total()} leads, not {len(wanted)}")
        for lead in leads:
            status = self._status.get(lead["lead_id"])
            self.expect(
                lead["status"] == status, f"{lead['lead_id']}: the portal sees {lead['status']}, must be {status}"
            )

    def _unknown_leads(self, what: str, found: Mapping[str, object]) -> None:
        for lead_id in found.keys() - self._status.keys():
            self.violations.append(f"{lead_id}: there is {what}, and no such lead was submitted")


def _by_lead(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record.lead_id].append(record)
    return dict(found)
