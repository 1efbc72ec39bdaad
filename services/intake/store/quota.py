"""How much of its quota each partner has used, counted in the transaction that takes the next lead."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from chassis.service import Connection, execute, rows
from services.intake.domain.quota import QuotaLimits, QuotaUsage

# For each partner with `submitted` leads in this batch: the receipt times, newest first, of the stored leads at the
# places `limit - submitted` to `limit - 1`. They decide whether each lead of the batch fits the quota.
_USED = """
    SELECT p.partner_id,
        ARRAY(SELECT l.received_at FROM leads l WHERE l.partner_id = p.partner_id
              ORDER BY l.number DESC OFFSET greatest($3 - p.submitted, 0) LIMIT least(p.submitted, $3)) AS hour,
        ARRAY(SELECT l.received_at FROM leads l WHERE l.partner_id = p.partner_id
              ORDER BY l.number DESC OFFSET greatest($4 - p.submitted, 0) LIMIT least(p.submitted, $4)) AS day,
        (SELECT count(*) FROM (SELECT 1 FROM leads l WHERE l.partner_id = p.partner_id
                               AND l.status IN ('under-review', 'confirmed') AND $5 > 0 LIMIT $5) r) AS reserved
    FROM unnest($1::text[], $2::integer[]) AS p (partner_id, submitted)
"""
_LOCK_ID = 0x7275D0
_LOCK = "SELECT pg_advisory_xact_lock($1, hashtext(p)) FROM (SELECT unnest($2::text[]) AS p ORDER BY p) q"


async def fetch_usages(tx: Connection, partner_ids: Sequence[str], limits: QuotaLimits) -> list[QuotaUsage]:
    """The usage before each submission of a batch, as if intake took all earlier submissions of the batch.

    `partner_ids` names the partner of each submission, in order of receipt. Locks the partners' quotas until the
    transaction ends, unless there are no limits.
    """
    if not partner_ids or limits == QuotaLimits():
        return [QuotaUsage()] * len(partner_ids)
    submitted = Counter(partner_ids)
    # The lock makes transactions of all instances count one after another. It is a statement of its own, so that the
    # next statement sees what other transactions committed. It is taken after the locks of the clients and in the
    # order of partner ids, so that two transactions cannot wait for each other.
    await execute(tx, _LOCK, _LOCK_ID, sorted(submitted))
    found = await rows(
        tx, _USED, list(submitted), list(submitted.values()), limits.per_hour, limits.per_day, limits.reserved
    )
    by_partner = {row.partner_id: row for row in found}
    usages: list[QuotaUsage] = []
    earlier: Counter[str] = Counter()
    for partner_id in partner_ids:
        row, ahead = by_partner[partner_id], earlier[partner_id]
        hour, day = (
            _blocker(times, limit, submitted[partner_id], ahead)
            for times, limit in ((row.hour, limits.per_hour), (row.day, limits.per_day))
        )
        usages.append(QuotaUsage(hour, day, reserved_full=0 < limits.reserved <= row.reserved + ahead))
        earlier[partner_id] += 1
    return usages


def _blocker(times: Sequence[datetime], limit: int, submitted: int, ahead: int) -> datetime | None:
    """The receipt time of the `limit`-th newest lead when `ahead` leads of the batch count as taken.

    None: there are fewer than `limit` leads, or no limit. The largest time when the batch alone reaches the limit.
    """
    if limit == 0:
        return None
    if ahead >= limit:
        return datetime.max.replace(tzinfo=UTC)
    place = min(submitted, limit) - 1 - ahead
    return times[place] if 0 <= place < len(times) else None
