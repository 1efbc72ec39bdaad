"""What becomes due by business time: scheduled SMS."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from chassis.decision import Cause
from chassis.service import Connection, Input
from services.notifier.domain.model import SmsDue
from services.notifier.store import pace
from services.notifier.store.clients import due_sms


def messages_due(per_second: float) -> Callable[[Connection, datetime, int], Awaitable[Sequence[Input]]]:
    """The function of the timer: an input for each scheduled SMS whose time has come.

    All copies of the service together release at most `per_second` SMS a second, so that the many SMS that are due at
    the end of the quiet hours do not hold up verdicts.
    """

    async def due(tx: Connection, now: datetime, limit: int) -> Sequence[Input]:
        if not await due_sms(tx, now, 1):
            return ()
        granted = await pace.grant(tx, per_second, limit)
        return [
            Input(
                sms.client_key,
                SmsDue(sms.message_id),
                Cause(str(sms.message_id), sms.correlation),
                step=_step(sms.calls),
            )
            for sms in await due_sms(tx, now, granted)
        ]

    return due


def _step(calls: int) -> str:
    # The number tells the events of one release of an SMS apart from those of the next one, after it was postponed.
    return f"due/{calls}/"
