"""One decision outside the running service, for an operator's command."""

from typing import Any

from chassis.clock import Clock
from chassis.database.pool import Database
from chassis.database.presence import Presence
from chassis.outbox.outbox import Outbox
from chassis.processor.model import Input
from chassis.processor.processor import Processor
from chassis.service import Service


async def decide_once(service: Service, item: Input, clock: Clock) -> Any:
    """Decide one input and commit it. The running service publishes the events and performs the work.

    Returns the rule's reply. Raises what the rule raises, and the errors of the database.
    """
    url = service.settings.database_url.get_secret_value()
    database, presence = Database(url, name=f"{service.name}-operator", pool_size=1), Presence(url, service.name)
    try:
        # The presence is not started: without an identity this process owns neither the events nor the work rows.
        (outcome,) = await Processor(
            database,
            Outbox(database, presence, {}),
            presence,
            clock,
            source=f"/truce/{service.name}",
            rules=service.rules,
            produces=service.produces,
        ).process([item])
    finally:
        for close in service.on_stop:
            await close()
        await database.close()
    if outcome.error is not None:
        raise outcome.error
    return outcome.reply
