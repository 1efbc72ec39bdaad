"""Health of the providers at rest: what all copies of the service share, and what outlives a restart."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from chassis.service import Database, execute, rows
from services.notifier.domain.answers import DisabledFor

_DISABLED: Final = """
    SELECT name, disabled_code, extract(epoch FROM disabled_until - now())::float8 AS left_s FROM providers
    WHERE disabled_until > now()
"""
# A check that found neither a new error code nor good health leaves the provider as disabled as it was.
_RECORD: Final = """
    INSERT INTO providers AS p (name, checked_at, error, balance, disabled_code, disabled_until)
    VALUES ($1, now(), $2, $3, $4, now() + make_interval(secs => $5::float8))
    ON CONFLICT (name) DO UPDATE SET checked_at = excluded.checked_at, error = excluded.error,
        balance = coalesce(excluded.balance, p.balance),
        disabled_code = CASE WHEN excluded.disabled_code IS NOT NULL OR excluded.error IS NULL
                             THEN excluded.disabled_code ELSE p.disabled_code END,
        disabled_until = CASE WHEN excluded.disabled_code IS NOT NULL OR excluded.error IS NULL
                              THEN excluded.disabled_until ELSE p.disabled_until END
"""


class PostgresProviderLog:
    """Which providers are disabled and until when, and their last check, in the table `providers`.

    All processes of the service share it, and it survives restarts. Implements `provider_pool.ProviderLog`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def disabled(self) -> Mapping[str, DisabledFor]:
        """Name → error code and remaining seconds of every provider that is disabled now."""
        async with self._database.single() as tx:
            return {row.name: DisabledFor(row.disabled_code, row.left_s) for row in await rows(tx, _DISABLED)}

    async def record(
        self, name: str, *, disabled: DisabledFor | None, balance: Decimal | None, error: str | None
    ) -> None:
        """Keep the latest answer. Neither `disabled` nor `error` means good health, and enables the provider again;
        an `error` alone changes nothing about it. Without a `balance` the last known balance stays."""
        code, for_s = disabled or (None, None)
        async with self._database.single() as tx:
            await execute(tx, _RECORD, name, error, balance, code, for_s)
