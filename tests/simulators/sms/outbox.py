"""The messages SMSC.ru has accepted, how far each of them got, and what it refuses to do twice a minute."""

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
    """One SMS to one number."""

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
        """The message as the control call shows it."""
        return asdict(self)


class Outbox:
    """All accepted messages. An id may repeat: status then speaks of the latest."""

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
        """Forget everything."""
        self._rows.clear()
        self.messages.clear()
        self._latest.clear()
        self._texts.clear()
        self._polls.clear()

    def next_id(self) -> str:
        """An id for a client that chose none."""
        return str(len(self.messages) + 1)

    def is_repeat(self, phones: tuple[str, ...], text: str, now: datetime) -> bool:
        """True within a minute of the same text to the same number, whatever the ids."""
        sent = (self._texts.get((phone, text)) for phone in phones)
        return any(at is not None and timedelta() <= now - at < _MINUTE for at in sent)

    def accept(
        self, phones: tuple[str, ...], text: str, message_id: str, now: datetime, **details: Any
    ) -> list[Message]:
        """Take in a message for each number."""
        accepted = []
        for phone in phones:
            number = len(self.messages) + 1
            message = Message(number, phone, text, message_id, now.isoformat(), segments(text), **details)
            self._remember(message)
            self._rows.put("message", str(number), message.as_json())
            accepted.append(message)
        return accepted

    def polled_too_often(self, phone: str, message_id: str, now: datetime) -> bool:
        """Count a question about a message; more than five a minute are too many."""
        polls = self._polls.setdefault((phone, message_id), deque())
        while polls and now - polls[0] >= _MINUTE:
            polls.popleft()
        polls.append(now)
        return len(polls) > _POLLS_A_MINUTE

    def status(self, phone: str, message_id: str, now: datetime) -> tuple[int, datetime | None]:
        """How far the latest message of this id to this number got, and since when."""
        message = self._latest.get((phone, message_id))
        if message is None:
            return NOT_FOUND, None
        accepted = datetime.fromisoformat(message.at)
        sent = accepted + self._dispatch
        delivered = sent + self._delivery
        if now >= delivered:
            return UNDELIVERABLE if message.undeliverable else DELIVERED, delivered
        return (AT_OPERATOR, sent) if now >= sent else (WAITING, accepted)
