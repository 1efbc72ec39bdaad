"""Which provider is used: the first in the operator's order that is neither barred nor resting."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import structlog

from services.notifier import metrics
from services.notifier.answers import Barred, Well
from services.notifier.providers import Provider

log = structlog.get_logger(__name__)

BARRED_FOR_S: Final = 300.0
"""How long nothing is tried after a money, password or address error, unless a check finds all well before."""
REST_S: Final = (1.0, 60.0)
"""How long a provider that cannot be reached is left alone: at first, and at most."""
CHECK_EVERY_S: Final = 60.0


class Book(Protocol):
    """What all copies of the service know of the providers; `store.Providers` in the service."""

    async def barred(self) -> Mapping[str, tuple[str, float]]:
        """Provider → why, and for how many seconds more."""
        ...

    async def note(
        self, name: str, *, bar: tuple[str, float] | None, balance: Decimal | None, error: str | None
    ) -> None:
        """How it answered last."""
        ...


class Roads:
    """The providers in order."""

    def __init__(self, providers: Sequence[Provider], book: Book, least_balance: Decimal = Decimal(0)) -> None:
        self._providers = providers
        self._book = book
        self._least_balance = least_balance
        self._barred: dict[str, tuple[str, float]] = {}
        self._rests: dict[str, tuple[float, float]] = {}

    def open(self) -> list[Provider]:
        """Those that may be tried now, the best first."""
        return [one for one in self._providers if self._shut_for_s(one) <= 0]

    def named(self, name: str) -> Provider | None:
        """The provider that a message went to before."""
        return next((one for one in self._providers if one.name == name), None)

    def barred_for_s(self, road: Provider) -> float:
        return max(0.0, self._barred.get(road.name, ("", 0.0))[1] - time.monotonic())

    def opens_in_s(self, road: Provider | None = None) -> float:
        """Until this one, or any, may be tried."""
        return max(0.1, min(self._shut_for_s(one) for one in ([road] if road else self._providers)))

    async def bar(self, road: Provider, code: str) -> None:
        """Nothing goes this way until a person acts: repeating would make it worse, and burn the queue."""
        self._bar(road, code, BARRED_FOR_S)
        log.error("provider is barred", provider=road.name, code=code, for_s=BARRED_FOR_S)
        await self._note(road, bar=(code, BARRED_FOR_S), error=code)

    def rest(self, road: Provider) -> None:
        """It cannot be reached: others first, and it again after a while that doubles."""
        if self._shut_for_s(road) > 0:
            return  # another call has just found out the same
        pause = min(self._rests.get(road.name, (0.0, REST_S[0] / 2))[1] * 2, REST_S[1])
        self._rests[road.name] = (time.monotonic() + pause, pause)

    def works(self, road: Provider) -> None:
        """It took a message."""
        self._rests.pop(road.name, None)

    async def watch(self, _: Any) -> None:
        """Ask each provider every minute how it is, for as long as the service runs."""
        while True:
            await self._learn()
            for road in self._providers:
                health = await road.check()
                match health:
                    case Well(balance):
                        if self._barred.pop(road.name, None) is not None:
                            log.warning("provider is open again", provider=road.name)
                        metrics.BARRED.labels(road.name).set(0)
                        if balance is not None:
                            metrics.BALANCE.labels(road.name).set(float(balance))
                            if balance < self._least_balance:
                                log.error("provider's money runs out", provider=road.name, balance=str(balance))
                        await self._note(road, balance=balance)
                    case Barred(code):
                        await self.bar(road, code)
                    case _:
                        log.warning("provider does not answer", provider=road.name, reason=health.reason)
                        await self._note(road, error=health.reason)
            await asyncio.sleep(CHECK_EVERY_S)

    async def close(self) -> None:
        for one in self._providers:
            await one.close()

    def _bar(self, road: Provider, code: str, for_s: float) -> None:
        self._barred[road.name] = (code, time.monotonic() + for_s)
        metrics.BARRED.labels(road.name).set(1)

    def _shut_for_s(self, road: Provider) -> float:
        resting = self._rests.get(road.name, (0.0, 0.0))[0] - time.monotonic()
        return max(self.barred_for_s(road), resting)

    async def _learn(self) -> None:
        """What another copy, or this one before it was started anew, found out."""
        try:
            known = await self._book.barred()
        except Exception as error:
            log.warning("providers' book cannot be read", error=type(error).__name__)
            return
        for road in self._providers:
            if road.name in known and self.barred_for_s(road) <= 0:
                self._bar(road, *known[road.name])

    async def _note(
        self,
        road: Provider,
        *,
        bar: tuple[str, float] | None = None,
        balance: Decimal | None = None,
        error: str | None = None,
    ) -> None:
        try:
            await self._book.note(road.name, bar=bar, balance=balance, error=error)
        except Exception as failed:
            # Sending goes on without it.
            log.warning("providers' book cannot be written", error=type(failed).__name__)
