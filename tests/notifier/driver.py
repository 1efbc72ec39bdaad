"""Drives the notifier's rules without I/O, as the chassis would: states by key, work made once, outcomes decided."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from chassis.decision import Cause, Decision, derived_id
from contracts.partners import Partner
from services.notifier.domain.answers import SettledStatus
from services.notifier.domain.model import ClientState, SmsSettled, message_id_of
from services.notifier.domain.outcomes import sms_settled
from services.notifier.domain.partners import partner_changed
from services.notifier.domain.scheduling import notify
from tests.notifier.samples import NOON, POLICY

OUTCOMES: tuple[SettledStatus, ...] = ("sent", "failed", "unknown")
"""The outcome of an SMS that is still true is derived from its id."""


@dataclass
class DomainDriver:
    """`states` by key, `work` by reference, `published` events by id."""

    states: dict[str, Any] = field(default_factory=dict)
    work: dict[str, tuple[str, Cause]] = field(default_factory=dict)
    published: dict[UUID, str] = field(default_factory=dict)

    def handle(self, key: str, body: Any, cause: Cause) -> None:
        """Decide one input. Fails if it makes a work row or publishes an event for the second time."""
        state: Any = self.states.get(key, None if isinstance(body, Partner) else ClientState())
        match body:
            case Partner():
                decision: Decision[Any] = partner_changed(state, body, cause, NOON)
            case SmsSettled():
                decision = sms_settled(state, body, cause, NOON)
            case _:
                decision = notify(state, body, cause, NOON, policy=POLICY)
        self.states[key] = decision.state
        for task in decision.tasks:
            assert task.ref not in self.work
            self.work[task.ref] = (key, cause)
        for event in decision.events:
            event_id = derived_id((event.cause or cause).id, event.message.ce_type)
            assert event_id not in self.published
            self.published[event_id] = event.message.model_dump_json()

    def perform_work(self) -> None:
        """Settle the SMS of all work rows in their order; those that are no longer true are dropped."""
        for ref, (key, cause) in self.work.items():
            sms = self.states[key].find(message_id_of(ref))
            reason = sms.drop_reason(NOON)
            status: SettledStatus = "dropped" if reason else OUTCOMES[sms.message_id.int % len(OUTCOMES)]
            self.handle(key, SmsSettled(sms.message_id, status, "smsc", reason), cause)

    def templates(self) -> dict[UUID, str]:
        """Id → template of all SMS."""
        return {
            sms.message_id: sms.template for state in self.states.values() for sms in getattr(state, "messages", ())
        }
