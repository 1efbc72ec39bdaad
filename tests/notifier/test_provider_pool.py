"""Which providers may be called now."""

import asyncio
from contextlib import suppress
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from services.notifier.domain.answers import Disabled, DisabledFor, Health, Healthy, NoAnswer
from services.notifier.provider_pool import ProviderPool
from tests.notifier.doubles import InMemoryProviderLog, ScriptedProvider
from tests.notifier.harness import wait_until


async def check_once(pool: ProviderPool, provider_log: InMemoryProviderLog, name: str = "scripted") -> None:
    """Run the check of every provider until its first result is recorded."""
    task = asyncio.create_task(pool.check_forever(None))
    await wait_until(lambda: name in provider_log.errors, "the first check")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_disabled_provider_is_recorded_for_all_copies_of_the_service() -> None:
    provider, provider_log = ScriptedProvider([]), InMemoryProviderLog()
    pool = ProviderPool([provider], provider_log)
    await pool.disable(provider, "3")

    assert pool.available() == []
    assert await provider_log.disabled() == {"scripted": DisabledFor("3", 300.0)}
    assert provider_log.errors == {"scripted": "3"}
    assert provider_log.balances == {}


@pytest.mark.parametrize(("health", "available"), [(NoAnswer("http-500"), False), (Healthy(), True)])
async def test_what_another_copy_disabled_stays_so_until_a_check_finds_good_health(
    health: Health, available: bool
) -> None:
    provider, provider_log = ScriptedProvider([], health=health), InMemoryProviderLog()
    await provider_log.record("scripted", disabled=DisabledFor("3", 200.0), balance=None, error=None)
    provider_log.errors.clear()
    pool = ProviderPool([provider], provider_log)
    await check_once(pool, provider_log)

    assert pool.available() == ([provider] if available else [])
    assert pool.disabled_for_s(provider) == pytest.approx(0 if available else 200, abs=2)


async def test_a_check_that_finds_an_account_error_disables_the_provider() -> None:
    provider, provider_log = ScriptedProvider([], health=Disabled("2")), InMemoryProviderLog()
    pool = ProviderPool([provider], provider_log)
    await check_once(pool, provider_log)

    assert pool.available() == []


async def test_a_low_balance_is_logged_as_an_error() -> None:
    provider, provider_log = ScriptedProvider([], health=Healthy(Decimal(499))), InMemoryProviderLog()
    with capture_logs() as logs:
        await check_once(ProviderPool([provider], provider_log, Decimal(500)), provider_log)

    assert [(line["event"], line["log_level"], line["balance"]) for line in logs] == [
        ("provider_balance_low", "error", "499")
    ]
    assert provider_log.balances == {"scripted": Decimal(499)}


async def test_an_unreachable_provider_is_paused_once_for_all_concurrent_failures() -> None:
    first, second = ScriptedProvider([], name="first"), ScriptedProvider([], name="second")
    pool = ProviderPool([first, second], InMemoryProviderLog())
    for _ in range(5):
        pool.back_off(first)

    assert pool.available() == [second]
    assert pool.available_in_s(first) == pytest.approx(1, abs=0.5)
    assert pool.disabled_for_s(first) == 0


class UncheckableProvider(ScriptedProvider):
    """Its check raises what no adapter expects."""

    async def check(self) -> Health:
        raise LookupError(self.name)


async def test_a_check_that_raises_leaves_the_other_providers_checked() -> None:
    first, second = UncheckableProvider([], name="first"), ScriptedProvider([], health=Disabled("2"), name="second")
    provider_log = InMemoryProviderLog()
    pool = ProviderPool([first, second], provider_log)

    with pytest.raises(ExceptionGroup) as raised:
        await pool.check_forever(None)

    assert [type(error) for error in raised.value.exceptions] == [LookupError]
    assert pool.available() == [first]
    assert provider_log.errors == {"second": "2"}
