"""The messages that SMSC.ru accepted, their statuses, and its limits on repeated requests."""

from collections import deque
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.simulators.kit.rows import Rows
from tests.simulators.sms.segments import segments

NOT_FOUND = -3
WAITING = -1
AT_OPERATOR = 0
DELIVERED = 1
UNDELIVERABLE = 20

_MINUTE = timedelta(minutes=1)
_POLLS_A_MINUTE = 5


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS to one number. `number` counts all messages, `id` is the id that the customer sees."""

    number: int
    to: str
    text: str
    id: str
    at: str
    segments: int
    sender: str = ""
    time: str = ""
    valid: str = ""
    undeliverable: bool = False

    def as_json(self) -> dict[str, Any]:
        """The message as the control call returns it."""
        return asdict(self)


class Outbox:
    """All accepted messages. Several messages may have the same id: the status is then that of the latest."""

    def __init__(self, rows: Rows, dispatch: timedelta, delivery: timedelta) -> None:
        self._rows = rows
        self._dispatch = dispatch
        self._delivery = delivery
        self.messages: list[Message] = []
        self._latest: dict[tuple[str, str], Message] = {}
        self._texts: dict[tuple[str, str], datetime] = {}
        self._polls: dict[tuple[str, str], deque[datetime]] = {}
        for _, _, body in rows.load():
            self._remember(Message(**body))

    def _remember(self, message: Message) -> None:
        self.messages.append(message)
        self._latest[message.to, message.id] = message
        self._texts[message.to, message.text] = datetime.fromisoformat(message.at)

    def clear(self) -> None:
        """Delete all messages and counters."""
        self._rows.clear()
        self.messages.clear()
        self._latest.clear()
        self._texts.clear()
        self._polls.clear()

    def next_id(self) -> str:
        """An id for a message without an id of the customer."""
        return str(len(self.messages) + 1)

    def is_repeat(self, phones: tuple[str, ...], text: str, now: datetime) -> bool:
        """Whether the same text was sent to one of these numbers within the last minute, under any id."""
        sent = (self._texts.get((phone, text)) for phone in phones)
        return any(at is not None and timedelta() <= now - at < _MINUTE for at in sent)

    def accept(
        self, phones: tuple[str, ...], text: str, message_id: str, now: datetime, **details: Any
    ) -> list[Message]:
        """Store a message for each number."""
        accepted = []
        for phone in phones:
            number = len(self.messages) + 1
            message = Message(number, phone, text, message_id, now.isoformat(), segments(text), **details)
            self._remember(message)
            self._rows.put("message", str(number), message.as_json())
            accepted.append(message)
        return accepted

    def polled_too_often(self, phone: str, message_id: str, now: datetime) -> bool:
        """Count a status request. True if a message had more than 5 status requests within a minute."""
        polls = self._polls.setdefault((phone, message_id), deque())
        while polls and now - polls[0] >= _MINUTE:
            polls.popleft()
        polls.append(now)
        return len(polls) > _POLLS_A_MINUTE

    def status(self, phone: str, message_id: str, now: datetime) -> tuple[int, datetime | None]:
        """The status of the latest message with this id to this number, and since when it has this status."""
        message = self._latest.get((phone, message_id))
        if message is None:
            return NOT_FOUND, None
        accepted = datetime.fromisoformat(message.at)
        sent = accepted + self._dispatch
        delivered = sent + self._delivery
        if now >= delivered:
            return UNDELIVERABLE if message.undeliverable else DELIVERED, delivered
        return (AT_OPERATOR, sent) if now >= sent else (WAITING, accepted)
