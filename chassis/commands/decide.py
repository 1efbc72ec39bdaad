"""One decision outside the running service, for an operator's command."""

from typing import Any

from chassis.clock import Clock
from chassis.database.presence import Presence
from chassis.database.sql import Database
from chassis.outbox.publisher import Publisher
from chassis.processor.processor import Input, Processor
from chassis.service import Service


async def decide_once(service: Service, item: Input, clock: Clock) -> Any:
    """Decide one input outside the running service, for an operator's command: durable, and told by whichever copy of
    the service runs. Returns the rule's reply; raises what the rule raises."""
    url = service.settings.database_url.get_secret_value()
    database, presence = Database(url, name=f"{service.name}-operator", pool_size=1), Presence(url, service.name)
    try:
        # Without an identity nothing is handed over here: the events' rows are nobody's, and so are the tasks'.
        publisher = Publisher(database, presence, {})
        (outcome,) = await Processor(
            database,
            publisher,
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
