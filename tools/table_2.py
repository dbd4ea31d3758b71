"""The CNN rows of the paper's table 2 beside the recorded nets that stand for them."""

from __future__ import annotations

from pathlib import Path

from alexnet import published
from alexnet.evaluation.metrics import paired_interval
from alexnet.report.tables import ABSENT, Table, percent, signed, with_interval
from tools.results_io import evaluations, wrong_answers

ROWS = {
    "AlexNet": "imagenette-alexnet-2012",
    "5 AlexNets": "imagenette-5-cnns",
    "AlexNet*, pre-trained": "imagenette-alexnet-2012-star",
    "7 AlexNets, two of them pre-trained": "imagenette-7-cnns-star",
}
"""What the row is called in `published.alexnet.TABLE_2`, and which recorded result is ours."""
CALLED = dict(zip(ROWS, ("1 CNN", "5 CNNs", "1 CNN*", "7 CNNs*"), strict=True))
"""What the paper's table calls it."""


def table_2(results: Path) -> Table:
    """Published errors on ILSVRC-2012, ours on Imagenette, and how many fewer than one net's ours are."""
    rows = [
        [CALLED[system], *_published(system), *_ours(results / name, results / ROWS["AlexNet"])]
        for system, name in ROWS.items()
    ]
    columns = (
        *("net", "paper: top-1 % (val)", "top-5 % (val)", "top-5 % (test)"),
        *("ours: top-1 %, center", "top-1 %, ten crops", "top-5 %, ten crops", "less than 1 CNN", "seeds"),
    )
    ten = evaluations(results / ROWS["AlexNet"]).get("ten")
    tested = f" ({ten['images']:,} photos of {len(ten['per_class'])} classes)" if ten else ""
    notes = (
        f"Paper: ILSVRC-2012, ten crops (table 2). Ours: Imagenette's validation photos{tested}.",
        "In brackets 95 % intervals; the last but one column is points of top-1 error with ten crops, its "
        "interval that of the same photos answered by both.",
    )
    return Table(columns, rows, notes=notes, numeric=frozenset(columns[1:4]))


def views_gain(results: Path) -> Table:
    """How many points of top-1 error ten crops take away from each row's center crop."""
    rows: list[list[str]] = []
    for system, name in ROWS.items():
        folder = results / name
        center, ten = (wrong_answers(folder, views) for views in ("center", "ten"))
        if center is not None and ten is not None:
            difference = float(center.mean() - ten.mean())
            rows.append([CALLED[system], signed(difference, paired_interval(center, ten))])
    return Table(("net", "top-1 points that ten crops take away (95 % interval)"), rows)


def _published(system: str) -> list[str]:
    found = {row.data: row for row in published.alexnet.TABLE_2 if row.system == system}
    val, test = found["ILSVRC-2012 val"], found.get("ILSVRC-2012 test")
    return [percent(val.top1), percent(val.top5), percent(test.top5 if test else None)]


def _ours(folder: Path, single: Path) -> list[str]:
    entries = evaluations(folder)
    if not entries:
        return [ABSENT] * 5
    center, ten = entries["center"], entries["ten"]
    ours, first = wrong_answers(folder, "ten"), wrong_answers(single, "ten")
    less = ABSENT
    if folder != single and ours is not None and first is not None:
        less = signed(float(first.mean() - ours.mean()), paired_interval(first, ours))
    return [
        with_interval(center["top1_error"], center["top1_interval"]),
        with_interval(ten["top1_error"], ten["top1_interval"]),
        percent(ten["top5_error"]),
        less,
        ", ".join(str(run["seed"]) for run in ten["runs"]),
    ]
