"""The gain and the cost of each set of views: recorded runs that were evaluated in several ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alexnet.report.evaluation_tables import TRAINING_COLUMNS, TRAINING_NOTE
from alexnet.report.tables import ABSENT, Table, rate
from alexnet.runs.results import EvalResult
from tools.paper_tables import MODELS
from tools.results_io import NOT_RECORDED, by_views, difference, training

USUAL = {"center", "ten"}
"""Views with which every model is evaluated."""
REFERENCE = "ten"


def views_cost(results: Path) -> Table:
    """A row for each evaluation of each run with other views, the cheapest first."""
    rows = [row for path in sorted(results.glob("*/evaluation.json")) for row in _rows(path.parent)]
    columns = (
        *(
            "recipe",
            "views",
            "scales",
            "top-1 error % (95 % interval)",
            "top-1 reduction from ten crops (points)",
        ),
        *("multiply-adds per photo, millions", "milliseconds per photo", *TRAINING_COLUMNS, "device"),
    )
    notes = (
        "`dense+multi-crop` is the mean of both. Reductions have 95 % intervals, paired over the same "
        "photos. Milliseconds are those of a whole evaluation, including reading.",
        TRAINING_NOTE,
    )
    numeric = frozenset(columns[5:9])
    return Table(columns, rows or [(NOT_RECORDED,) + (ABSENT,) * 9], notes=notes, numeric=numeric)


def _rows(folder: Path) -> Iterator[list[str]]:
    found = by_views(folder)
    if set(found) <= USUAL or REFERENCE not in found:
        return
    for name, result in sorted(found.items(), key=lambda each: each[1].multiply_adds):
        yield [
            f"[`{result.runs[0].recipe}`](results/{folder.name})",
            result.views.name,
            ", ".join(map(str, result.scales)) or ABSENT,
            rate(result.top1),
            difference((folder, REFERENCE), (folder, name)),
            *_costs(result),
            *training(folder),
            result.device or ABSENT,
        ]


def _costs(result: EvalResult) -> tuple[str, str]:
    """Multiply-adds in millions and milliseconds per photo, if they were recorded."""
    return (
        f"{result.multiply_adds / 1e6:,.0f}" if result.multiply_adds else ABSENT,
        f"{1e3 * result.seconds / result.images:,.1f}" if result.seconds else ABSENT,
    )


def views_gain(results: Path) -> Table:
    """The reduction of the top-1 error by ten crops instead of the center crop, for each row of table 2."""
    rows: list[list[str]] = []
    for name, recorded in MODELS.values():
        reduction = difference((results / recorded, "center"), (results / recorded, "ten"))
        rows += [[name, reduction, *training(results / recorded)]] if reduction != ABSENT else []
    columns = ("model", "top-1 reduction by ten crops (points, 95 % interval)", *TRAINING_COLUMNS)
    return Table(columns, rows, notes=[TRAINING_NOTE], numeric=frozenset(TRAINING_COLUMNS))
