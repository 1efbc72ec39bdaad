"""The providers in the operator's order, which of them may be called now, and the check of each every minute."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import structlog

from chassis.service import backoff_s
from services.notifier import metrics
from services.notifier.domain.answers import Disabled, DisabledFor, Healthy
from services.notifier.providers.base import Provider

log = structlog.get_logger(__name__)

DISABLED_FOR_S: Final = 300.0
"""After an error about money, password or address nothing is sent for so long, unless a check finds good health."""
BACKOFF_S: Final = (1.0, 60.0)
"""The first and the longest pause after a failed connection; the pause doubles with each failure."""
CHECK_EVERY_S: Final = 60.0


class ProviderLog(Protocol):
    """What all copies of the service share about the providers. See `store.providers.PostgresProviderLog`."""

    async def disabled(self) -> Mapping[str, DisabledFor]:
        """Name → error code and remaining seconds of every provider that is disabled now."""
        ...

    async def record(
        self, name: str, *, disabled: DisabledFor | None, balance: Decimal | None, error: str | None
    ) -> None:
        """Keep the latest answer. Neither `disabled` nor `error` means good health, and enables the provider again;
        an `error` alone changes nothing about it. Without a `balance` the last known balance stays."""
        ...


class ProviderPool:
    """The providers in the order of use. A provider is skipped while it is disabled or backing off.

    With less than `least_balance` rubles at a provider an error is logged at every check.
    """

    def __init__(
        self, providers: Sequence[Provider], provider_log: ProviderLog, least_balance: Decimal = Decimal(0)
    ) -> None:
        self._providers = providers
        self._log = provider_log
        self._least_balance = least_balance
        self._disabled: dict[str, tuple[str, float]] = {}
        """Name → error code, and the monotonic time at which it may be called again."""
        self._backoffs: dict[str, tuple[float, int]] = {}
        """Name → the monotonic time at which it may be called again, and the latest pause."""

    def available(self) -> list[Provider]:
        """The providers that may be called now, in the operator's order."""
        return [provider for provider in self._providers if self._unavailable_for_s(provider) <= 0]

    def named(self, name: str) -> Provider | None:
        """The provider of that name, disabled or not; None if the settings no longer name it."""
        return next((provider for provider in self._providers if provider.name == name), None)

    def disabled_for_s(self, provider: Provider) -> float:
        """Seconds until a disabled provider may be called again; 0 if it is enabled."""
        return max(0.0, self._disabled.get(provider.name, ("", 0.0))[1] - time.monotonic())

    def available_in_s(self, provider: Provider | None = None) -> float:
        """Seconds until this provider, or else the first of all providers, may be called; at least 0.1."""
        return max(0.1, min(self._unavailable_for_s(each) for each in ([provider] if provider else self._providers)))

    async def disable(self, provider: Provider, code: str) -> None:
        """Call the provider no more for `DISABLED_FOR_S`: repeated calls would fail too, and may block the account."""
        disabled = DisabledFor(code, DISABLED_FOR_S)
        self._disable(provider, disabled)
        log.error("provider_disabled", provider=provider.name, code=code, for_s=DISABLED_FOR_S)
        await self._record(provider, disabled=disabled, error=code)

    def back_off(self, provider: Provider) -> None:
        """The provider could not be reached: pause it, after each further failure for longer."""
        if self._unavailable_for_s(provider) > 0:
            return  # a concurrent call has failed for the same reason, and counts once
        failures = self._backoffs.get(provider.name, (0.0, 0))[1] + 1
        self._backoffs[provider.name] = (time.monotonic() + backoff_s(failures, *BACKOFF_S), failures)

    def reset_backoff(self, provider: Provider) -> None:
        """The provider accepted an SMS: its next failure pauses it for the shortest time again."""
        self._backoffs.pop(provider.name, None)

    async def check_forever(self, _: Any) -> None:
        """Check the health of each provider every minute, for as long as the service runs.

        Raises an ExceptionGroup of what the checks raise, after each provider was checked.
        """
        while True:
            await self._load()
            errors: list[Exception] = []
            for provider in self._providers:
                try:
                    await self._check(provider)
                except Exception as error:
                    errors.append(error)
            if errors:
                raise ExceptionGroup("checks of providers failed", errors)
            await asyncio.sleep(CHECK_EVERY_S)

    async def close(self) -> None:
        """Close the connections of all providers."""
        for provider in self._providers:
            await provider.close()

    async def _check(self, provider: Provider) -> None:
        health = await provider.check()
        match health:
            case Healthy(balance):
                if self._disabled.pop(provider.name, None) is not None:
                    log.warning("provider_enabled", provider=provider.name)
                metrics.DISABLED.labels(provider.name).set(0)
                if balance is not None:
                    metrics.BALANCE.labels(provider.name).set(float(balance))
                    if balance < self._least_balance:
                        log.error("provider_balance_low", provider=provider.name, balance=str(balance))
                await self._record(provider, balance=balance)
            case Disabled(code):
                await self.disable(provider, code)
            case _:
                log.warning("provider_check_failed", provider=provider.name, reason=health.reason)
                await self._record(provider, error=health.reason)

    def _disable(self, provider: Provider, disabled: DisabledFor) -> None:
        self._disabled[provider.name] = (disabled.code, time.monotonic() + disabled.seconds)
        metrics.DISABLED.labels(provider.name).set(1)

    def _unavailable_for_s(self, provider: Provider) -> float:
        pause_s = self._backoffs.get(provider.name, (0.0, 0))[0] - time.monotonic()
        return max(self.disabled_for_s(provider), pause_s)

    async def _load(self) -> None:
        """Apply what another copy of the service, or this one before its restart, has recorded."""
        try:
            recorded = await self._log.disabled()
        except Exception as error:
            log.warning("provider_state_read_failed", error=type(error).__name__)
            return
        for provider in self._providers:
            if provider.name in recorded and self.disabled_for_s(provider) <= 0:
                self._disable(provider, recorded[provider.name])

    async def _record(
        self,
        provider: Provider,
        *,
        disabled: DisabledFor | None = None,
        balance: Decimal | None = None,
        error: str | None = None,
    ) -> None:
        try:
            await self._log.record(provider.name, disabled=disabled, balance=balance, error=error)
        except Exception as failed:
            # SMS are sent without the record too.
            log.warning("provider_state_write_failed", error=type(failed).__name__)
