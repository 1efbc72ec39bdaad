"""The final check of a failure test: once the system is idle, its data fits exactly what the portal submitted."""

import time
from collections.abc import Sequence

from contracts import topics
from tests.chaos.idle import EVENT_TOPICS, Servers, wait_until_idle
from tests.chaos.load import Load
from tests.chaos.records import read_topics
from tests.chaos.rules import Report, compare
from tests.e2e.harness import SystemHarness

IDLE_WITHIN_S = 180.0


def assert_exact(report: Report, seed: int) -> None:
    """Fail the test with the seed and the first violations, if there are any."""
    shown = "\n  ".join(report.violations[:40])
    assert not report.violations, f"seed {seed}: {len(report.violations)} violations, {report.counts}\n  {shown}"


async def check(
    servers: Servers,
    harness: SystemHarness,
    load: Load,
    *,
    intakes: Sequence[SystemHarness] = (),
    idle_within_s: float = IDLE_WITHIN_S,
) -> Report:
    """Submit the unanswered leads again, wait until the system is idle, read all of its data, and compare.

    `intakes`: a harness for each instance of intake, if there are several.
    """
    await load.submit_unanswered(intakes or [harness])
    await load.repeat_some(intakes or [harness])
    waited = time.monotonic()
    unfinished = await wait_until_idle(servers, idle_within_s)
    idle_after_s = round(time.monotonic() - waited)
    report = compare(
        load,
        await read_topics(servers.kafka, (*EVENT_TOPICS, topics.DEAD_LETTERS)),
        await harness.journal(),
        None if load.calls_before is None else (await harness.onec_calls())[load.calls_before :],
        await harness.messages(),
        {partner_id: await harness.leads(partner_id) for partner_id in load.partners},
    )
    busy = () if unfinished is None else (f"not idle after {idle_within_s:.0f} s: {unfinished}",)
    return Report({**report.counts, "seconds until idle": idle_after_s}, (*busy, *report.violations))
