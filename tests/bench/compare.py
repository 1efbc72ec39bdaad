"""`make bench-compare BEFORE=<commit>`: this checkout beside an earlier commit, in one series.

Each bench runs in the order before, after, before, after. The two runs of the commit before show the spread of the
machine. A figure is worse if it falls short of the mean before by more than that spread, and by more than 3 %. Where a
bench also measures the floor or the plain way, the ratio to it is judged, since machines change their speed within
minutes; the absolute figure is printed beside it. Prints a table and one JSON object a figure; exits with 1 if a judged
figure is worse. Nothing else should run meanwhile.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

ROOT: Final = Path(__file__).resolve().parents[2]
TOLERATED: Final = 0.03

# Figure → whether more is better.
FIGURES: Final[dict[str, dict[str, bool]]] = {
    "pipeline": {"of_floor": True, "leads_per_s": True},
    "latency": {"times_floor_p50": False, "p50_ms": False},
    "http": {"times_plain": True, "leads_per_s": True},
    "onec": {"backlog_calls_per_lead": False, "calm_calls_per_lead": False},
    "clocks": {"of_floor": True, "fired_per_s": True},
    "sms": {"p50_ms": False, "reminders_per_s": True},
}
# Printed, and not judged: the bench's first figure is the same as a ratio to a program measured in the same minutes.
SHOWN_ONLY: Final = frozenset(
    {("pipeline", "leads_per_s"), ("latency", "p50_ms"), ("http", "leads_per_s"), ("clocks", "fired_per_s")}
)


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of a bench: two runs before, the runs after, and what follows. Ratios above 1 are better."""

    figure: str
    before: tuple[float, float]
    after: tuple[float, ...]
    ratio: float
    spread: float
    judged: bool = True

    @property
    def is_worse(self) -> bool:
        return self.judged and self.ratio < 1 - max(self.spread, TOLERATED)


def compare(
    figure: str, before: Sequence[float], after: Sequence[float], *, more_is_better: bool, judged: bool = True
) -> Compared:
    """The means of both, and the spread of the runs before around their mean."""
    first, second = before
    mean, now = statistics.mean(before), statistics.mean(after)
    ratio = now / mean if more_is_better else mean / now
    spread = abs(first - second) / mean
    return Compared(figure, (first, second), tuple(after), round(ratio, 3), round(spread, 3), judged)


def _run(checkout: Path, bench: str, leads: int, rounds: int) -> list[dict[str, Any]]:
    """The results of one bench in a checkout, which the interpreter of this one runs."""
    arguments = ["--only", bench, "--leads", str(leads), "--rounds", str(rounds)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments], cwd=checkout, stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _figures(results: Sequence[dict[str, Any]]) -> dict[str, tuple[float, bool, bool]]:
    """Figure → value, whether more is better, whether it is judged."""
    return {
        f"{result['bench']} {result.get('profile', '')} {name}".replace("  ", " "): (
            float(result[name]),
            more,
            (result["bench"], name) not in SHOWN_ONLY,
        )
        for result in results
        for name, more in FIGURES[result["bench"]].items()
    }


def main(
    before: Annotated[str, typer.Argument(help="the commit to compare with")],
    only: Annotated[list[str] | None, typer.Option(help=f"one of {', '.join(FIGURES)}; repeat it for more")] = None,
    leads: Annotated[int, typer.Option(help="as in `make bench`")] = 20_000,
    rounds: Annotated[int, typer.Option(help="as in `make bench`")] = 3,
) -> None:
    """Measure this checkout beside an earlier commit."""
    compared: list[Compared] = []
    with tempfile.TemporaryDirectory(prefix="truce-before-") as folder:
        checkout = Path(folder) / "before"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(checkout), before], cwd=ROOT, check=True)
        try:
            for bench in only or list(FIGURES):
                runs: list[dict[str, tuple[float, bool, bool]]] = []
                for place in (checkout, ROOT, checkout, ROOT):
                    print(f"{bench}: {'before' if place is checkout else 'after'}", file=sys.stderr, flush=True)
                    runs.append(_figures(_run(place, bench, leads, rounds)))
                for figure, (_, more, judged) in runs[0].items():
                    values = [run[figure][0] for run in runs]
                    compared.append(compare(figure, values[::2], values[1::2], more_is_better=more, judged=judged))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(checkout)], cwd=ROOT, check=True)
    table = Table("figure", "before", "after", "ratio", "spread before", "worse")
    for one in compared:
        cells = (*(" / ".join(f"{value:g}" for value in values) for values in (one.before, one.after)),)
        table.add_row(
            one.figure,
            *cells,
            f"{one.ratio:.3f}",
            f"{one.spread:.3f}",
            "WORSE" if one.is_worse else "" if one.judged else "(shown)",
        )
        print(json.dumps({**{name: getattr(one, name) for name in one.__slots__}, "worse": one.is_worse}))
    Console(stderr=True, width=140).print(table)
    if any(one.is_worse for one in compared):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
