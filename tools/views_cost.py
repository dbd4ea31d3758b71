"""What each way to look at photos buys and costs: recorded runs tested in more ways than with ten crops."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alexnet.evaluation.metrics import paired_interval
from alexnet.report.tables import ABSENT, Table, signed, with_interval
from tools.results_io import evaluations, wrong_answers

USUAL = {"center", "ten"}
"""What every net is tested with."""
BESIDE = "ten"


def views_cost(results: Path) -> Table:
    """A row for each test of each such run, the cheapest first; errors beside those of ten crops."""
    rows = [row for path in sorted(results.glob("*/evaluation.json")) for row in _rows(path.parent)]
    columns = (
        *("recipe", "views", "scales", "top-1 error % (95 % interval)", "less than ten crops"),
        *("multiply-adds a photo, millions", "milliseconds a photo", "on"),
    )
    notes = (
        "`dense+multi-crop` is the mean of both. Less than ten crops: points of top-1 error, with the 95 % "
        "interval of the same photos answered both ways. Milliseconds are of a whole test, reading included.",
    )
    numeric = frozenset(columns[5:7])
    return Table(columns, rows or [("not recorded yet",) + (ABSENT,) * 7], notes=notes, numeric=numeric)


def _rows(folder: Path) -> Iterator[list[str]]:
    tests = evaluations(folder)
    if set(tests) <= USUAL or BESIDE not in tests:
        return
    for name, entry in sorted(tests.items(), key=lambda each: each[1].get("multiply_adds", 0)):
        yield [
            f"[`{entry['runs'][0]['recipe']}`](results/{folder.name})",
            name.partition("@")[0],
            ", ".join(map(str, entry.get("scales", []))) or ABSENT,
            with_interval(entry["top1_error"], entry["top1_interval"]),
            _less(folder, name),
            *_costs(entry),
            entry.get("device") or ABSENT,
        ]


def _less(folder: Path, name: str) -> str:
    """How many points of top-1 error less than ten crops make."""
    beside, this = (wrong_answers(folder, each) for each in (BESIDE, name))
    if name == BESIDE or beside is None or this is None:
        return ABSENT
    return signed(float(beside.mean() - this.mean()), paired_interval(beside, this))


def _costs(entry: dict[str, Any]) -> tuple[str, str]:
    """Multiply-adds in millions and milliseconds of one photo, as far as they were kept."""
    multiply_adds, seconds = entry.get("multiply_adds"), entry.get("seconds")
    return (
        f"{multiply_adds / 1e6:,.0f}" if multiply_adds else ABSENT,
        f"{1e3 * seconds / entry['images']:,.1f}" if seconds else ABSENT,
    )
