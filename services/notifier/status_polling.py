"""Polls providers for the status of sent SMS about which no delivery report came."""

import asyncio
from typing import Any, Final

import structlog

from chassis.service import Database, Runtime, is_transient
from contracts.sealing import Sealer, Unsealable
from services.notifier.domain.answers import Disabled, Found
from services.notifier.domain.model import SmsReported
from services.notifier.provider_pool import ProviderPool
from services.notifier.reports import report_input
from services.notifier.store.reports import take_unreported

log = structlog.get_logger(__name__)

PAUSES_S: Final = (600.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
"""Pauses between the polls of one SMS, in seconds. After the last poll an SMS without a report stays `sent`."""
POLLS_AT_ONCE: Final = 3
BATCH: Final = 30
POLL_EVERY_S: Final = 1.0


class StatusPolling:
    """A background task: looks up the status of sent SMS, and handles each answer like a delivery report."""

    def __init__(self, database: Database, providers: ProviderPool, sealer: Sealer) -> None:
        self._database = database
        self._providers = providers
        self._sealer = sealer

    async def run(self, runtime: Runtime) -> None:
        """Poll for as long as the service runs. Raises errors that are not transient, after all SMS were polled."""
        gate = asyncio.Semaphore(POLLS_AT_ONCE)

        async def poll(row: Any) -> None:
            async with gate:
                await self._poll(runtime, row)

        while True:
            try:
                async with self._database.single() as tx:
                    taken = await take_unreported(tx, BATCH, PAUSES_S)
                polls = await asyncio.gather(*(poll(row) for row in taken), return_exceptions=True)
                # One SMS that cannot be polled costs no other SMS its poll.
                if errors := [result for result in polls if isinstance(result, Exception)]:
                    raise next((error for error in errors if not is_transient(error)), errors[0])
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("sms_status_poll_failed", error=type(error).__name__)
            await asyncio.sleep(POLL_EVERY_S)

    async def _poll(self, runtime: Runtime, row: Any) -> None:
        provider = self._providers.named(row.provider)
        if provider is None or self._providers.disabled_for_s(provider) > 0:
            return
        try:
            phone = self._sealer.open(row.person, row.partner_id).phone
        except Unsealable:
            return
        answer = await provider.lookup(row.message_id, phone)
        match answer:
            case Found(code, outcome):
                report = SmsReported(row.message_id, provider.name, outcome, code)
                await runtime.decide(report_input(row.client_key, row.correlation, report))
            case Disabled(code):
                await self._providers.disable(provider, code)
