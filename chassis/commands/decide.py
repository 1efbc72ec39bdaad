"""One decision outside the running service, for an operator's command."""

from collections.abc import Sequence
from typing import Any, Final

from chassis.clock import Clock
from chassis.database.pool import Database
from chassis.database.presence import Presence
from chassis.outbox.outbox import Outbox
from chassis.processor.model import Input
from chassis.processor.processor import Processor
from chassis.service import Service

_TOGETHER: Final = 100


async def decide_once(service: Service, item: Input, clock: Clock) -> Any:
    """Decide one input and commit it. The running service publishes the events and performs the work.

    Returns the rule's reply. Raises what the rule raises, and the errors of the database.
    """
    return (await decide_all(service, [item], clock))[0]


async def decide_all(service: Service, items: Sequence[Input], clock: Clock) -> Sequence[Any]:
    """Decide inputs and commit them, 100 in a transaction. Returns the rules' replies, in the order of the inputs.

    Raises the first error that a rule raises, after the other inputs of its transaction are committed.
    """
    url = service.settings.database_url.get_secret_value()
    database, presence = Database(url, name=f"{service.name}-operator", pool_size=1), Presence(url, service.name)
    try:
        # The presence is not started: without an identity this process owns neither the events nor the work rows.
        processor = Processor(
            database,
            Outbox(database, presence, {}),
            presence,
            clock,
            source=f"/truce/{service.name}",
            rules=service.rules,
            produces=service.produces,
        )
        replies: list[Any] = []
        for first in range(0, len(items), _TOGETHER):
            for outcome in await processor.process(items[first : first + _TOGETHER]):
                if outcome.error is not None:
                    raise outcome.error
                replies.append(outcome.reply)
    finally:
        for close in service.on_stop:
            await close()
        await database.close()
    return replies
