"""`make bench`: measures Truce and two other programs that do the same work on the same servers.

The program `floor` is the fastest straightforward program: aiokafka and asyncpg in batches, no outbox, no locks. The
program `plain` is FastStream as in its tutorial. Rounds alternate between the programs. The results are medians and are
printed at the end, one JSON object a line.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tests.bench import clocks, http, onec, pipeline, sms, soak
from tests.bench.bed import FLOOR, OURS, PLAIN, Bed

Result = Mapping[str, Any]


def report(text: str) -> None:
    """Print progress to standard error; standard output is for results."""
    print(text, file=sys.stderr, flush=True)


def bench_pipeline(bed: Bed, leads: int, rounds: int) -> Result:
    """Leads per second through all four services."""
    report(f"pipeline: sealing {leads} leads")
    invented = pipeline.invent_leads(bed, leads)
    few = invented[: max(100, leads // 40)]
    outcomes: dict[str, list[pipeline.Outcome]] = {}
    for number in range(1, rounds + 1):
        for variant in (OURS, FLOOR, PLAIN):
            outcome = pipeline.throughput(bed, variant, few if variant is PLAIN else invented)
            outcomes.setdefault(variant.name, []).append(outcome)
            report(f"pipeline: round {number}/{rounds} {variant.name:9} {outcome.leads_per_s:8.0f} leads/s")
    rates = {name: [outcome.leads_per_s for outcome in of_variant] for name, of_variant in outcomes.items()}
    medians = {name: statistics.median(of_variant) for name, of_variant in rates.items()}

    def cpu_us(name: str, count: int) -> dict[str, int]:
        each = [1e6 / count * part for outcome in outcomes[name] for part in (outcome.cpu.kafka, outcome.cpu.postgres)]
        python = [1e6 / count * sum(outcome.cpu.python.values()) for outcome in outcomes[name]]
        return {
            "kafka": round(statistics.median(each[::2])),
            "postgres": round(statistics.median(each[1::2])),
            "python": round(statistics.median(python)),
        }

    services = outcomes["pipeline"][0].cpu.python
    return {
        "bench": "pipeline",
        "leads": leads,
        "rounds": rounds,
        "leads_per_s": round(medians["pipeline"]),
        "floor_leads_per_s": round(medians["floor"]),
        "plain_leads_per_s": round(medians["plain"], 1),
        "plain_leads": len(few),
        "of_floor": round(medians["pipeline"] / medians["floor"], 3),
        "times_plain": round(medians["pipeline"] / medians["plain"], 1),
        "cpu_us_per_lead": cpu_us("pipeline", leads),
        "floor_cpu_us_per_lead": cpu_us("floor", leads),
        "plain_cpu_us_per_lead": cpu_us("plain", len(few)),
        "service_cpu_us_per_lead": {
            service: round(
                statistics.median(1e6 / leads * outcome.cpu.python[service] for outcome in outcomes["pipeline"])
            )
            for service in services
        },
        "spread": {name: [round(min(of_variant)), round(max(of_variant))] for name, of_variant in rates.items()},
    }


def bench_latency(bed: Bed, leads: int, rounds: int) -> Result:
    """Milliseconds from the portal's produce to the SMS row, at 50 leads per second, after a warm-up.

    In its first half minute the broker's Java compiler takes most of a core, which would slow the first measurement.
    """
    rate = 50.0
    each = max(100, min(500, leads // 40))
    samples: dict[str, list[list[float]]] = {}
    invented = pipeline.invent_leads(bed, each)
    for variant in (OURS, FLOOR):
        pipeline.latency(bed, variant, pipeline.invent_leads(bed, 2 * each), rate)
        report(f"latency: warmed up with {variant.name}")
    for number in range(1, rounds + 1):
        for variant in (OURS, FLOOR):
            ms = pipeline.latency(bed, variant, invented, rate)
            samples.setdefault(variant.name, []).append(ms)
            report(f"latency: round {number}/{rounds} {variant.name:9} p50 {statistics.median(ms):6.1f} ms")

    def quantile(name: str, percent: int) -> float:
        return round(statistics.median(statistics.quantiles(ms, n=100)[percent - 1] for ms in samples[name]), 1)

    return {
        "bench": "latency",
        "rate_per_s": int(rate),
        "leads": each,
        "rounds": rounds,
        "p50_ms": quantile("pipeline", 50),
        "p99_ms": quantile("pipeline", 99),
        "floor_p50_ms": quantile("floor", 50),
        "floor_p99_ms": quantile("floor", 99),
        "times_floor_p50": round(quantile("pipeline", 50) / quantile("floor", 50), 2),
    }


def bench_http(bed: Bed, leads: int, rounds: int) -> Result:
    """Leads per second over HTTP. Each lead is durable before its response."""
    clients, requests = 32, max(500, leads // 4)
    ours, plain = [], []
    for number in range(1, rounds + 1):
        ours.append(http.ours(bed, clients, requests))
        plain.append(http.plain(bed, clients, requests))
        report(f"http: round {number}/{rounds} {ours[-1].leads_per_s:.0f}, plain {plain[-1].leads_per_s:.0f} leads/s")
    rate = statistics.median(run.leads_per_s for run in ours)
    plain_rate = statistics.median(run.leads_per_s for run in plain)
    return {
        "bench": "http",
        "clients": clients,
        "leads": requests,
        "rounds": rounds,
        "leads_per_s": round(rate),
        "p99_ms": round(statistics.median(run.p99() for run in ours), 1),
        "plain_leads_per_s": round(plain_rate),
        "plain_p99_ms": round(statistics.median(run.p99() for run in plain), 1),
        "times_plain": round(rate / plain_rate, 2),
    }


def bench_soak(bed: Bed, leads: int, _: int) -> Result:
    """Memory and table sizes with ten times as many leads."""
    return soak.soak(bed, leads * 10, report)


def bench_onec(bed: Bed, leads: int, _: int) -> Sequence[Result]:
    """Requests to 1C per lead, and leads per second, for each kind of web server in front of 1C."""
    return onec.onec(bed, max(100, leads // 10), report)


def bench_clocks(bed: Bed, leads: int, _: int) -> Result:
    """A tenth of the open reservations, at most 100,000, ends at one instant.

    The variable `OPEN` sets the number of open reservations (default: fifty times the leads).
    """
    open_ = int(os.environ.get("OPEN", "0")) or leads * 50
    return clocks.clocks(bed, open_, min(100_000, open_ // 10), report)


def bench_sms(bed: Bed, leads: int, _: int) -> Result:
    """Delay of a verdict's SMS, alone and while five times as many reminders as leads are due."""
    return sms.sms(bed, leads * 5, report)


BENCHES: Mapping[str, Callable[[Bed, int, int], Result | Sequence[Result]]] = {
    "pipeline": bench_pipeline,
    "latency": bench_latency,
    "http": bench_http,
    "onec": bench_onec,
    "clocks": bench_clocks,
    "sms": bench_sms,
    "soak": bench_soak,
}


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"one of {', '.join(BENCHES)}; repeatable")] = None,
    leads: Annotated[
        int, typer.Option(help="leads in a round of the pipeline; other benches scale with this number")
    ] = 20_000,
    rounds: Annotated[int, typer.Option(help="rounds; each round measures every program")] = 5,
) -> None:
    """Measure, and print one JSON object a line."""
    chosen: Sequence[str] = only or list(BENCHES)
    if unknown := set(chosen) - BENCHES.keys():
        raise typer.BadParameter(f"unknown bench: {', '.join(sorted(unknown))}")
    folder = Path(tempfile.mkdtemp(prefix="truce-bench-"))
    bed = Bed(folder)
    try:
        results: list[Result] = []
        for name in chosen:
            measured = BENCHES[name](bed, leads, rounds)
            results.extend([measured] if isinstance(measured, Mapping) else measured)
            report(json.dumps(measured))
    finally:
        bed.stop()
    shutil.rmtree(folder, ignore_errors=True)
    for result in results:
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    typer.run(main)
