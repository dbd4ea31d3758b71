"""Where things are: recorded runs that say boxes, beside boxes that know nothing of the photo."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from alexnet import published
from alexnet.published.rows import BoxRow
from alexnet.report.comparison import Row
from alexnet.report.evaluation_tables import BASELINES, detection_views
from alexnet.report.tables import ABSENT, Table, percent, with_interval
from tools.results_io import evaluations

_LOCALIZED = (
    *("top-5 localization error % (95 % interval)", *BASELINES.values(), "of classes alone"),
    *("top-1 localization error %", "images"),
)
_DETECTED = ("mean average precision %", "of windows, rightly named %", "objects", "images")
_NUMERIC = frozenset((*_LOCALIZED[-3:], *_DETECTED))
_RIGHT = (
    "Right is a class, of the five that were said, with a box that overlaps the object's by half or "
    "more. The three boxes that know nothing of the photo stand with the same five classes."
)
_WINDOWS = (
    "Of windows: what the windows come to that the net slides, as boxes, if all are named rightly: more than "
    "that is learned of boxes."
)


def localization(results: Path) -> Table:
    """A row for each test of each recorded run that localizes: its error and, with its classes, theirs."""
    columns = ("run", "views", *_LOCALIZED)
    rows = [
        [f"[`{entry['runs'][0]['recipe']}`](results/{folder})", entry["views"], *_localized(found)]
        for folder, entry, found in _found(results, "localization")
    ]
    return Table(columns, rows or [_not_recorded(columns)], notes=[_RIGHT], numeric=_NUMERIC)


def objects(results: Path) -> Table:
    """A row for each recorded run that detects: its precision, and that of its windows as boxes."""
    columns = ("run", "data", *_DETECTED)
    rows = [
        [
            f"[`{entry['runs'][0]['recipe']}`](results/{folder})",
            *(f"{entry['store']} {entry['split']}", *_detected(found)),
        ]
        for folder, entry, found in _found(results, "detection")
    ]
    return Table(columns, rows or [_not_recorded(columns)], notes=[_WINDOWS], numeric=_NUMERIC)


def compared(ours: Sequence[Row]) -> list[Table]:
    """Tables of where our runs say that things are, below what was published; none where none says boxes."""
    localized = [
        (row.system, row.data, row.views, *_localized(row.localization), row.source)
        for row in ours
        if row.localization
    ]
    detected = [
        (row.system, row.data, detection_views(row.views), *_detected(row.detection), row.source)
        for row in ours
        if row.detection
    ]
    tables = (
        ("Localization", _LOCALIZED, localized, published.overfeat.LOCALIZATION, _RIGHT),
        ("Detection", _DETECTED, detected, published.overfeat.DETECTION, _WINDOWS),
    )
    return [
        Table(
            columns=("system", "data", "views", *columns, "source"),
            rows=[*(_published(row, len(columns)) for row in theirs), (), *dict.fromkeys(rows)],
            title=f"{what}, above the line as published, below it our runs",
            numeric=_NUMERIC,
            notes=[note],
        )
        for what, columns, rows, theirs, note in tables
        if rows
    ]


def detection_steps(results: Path) -> Table:
    """What was found to make detection better, step by step, from `experiments/detection.csv`."""
    columns = ("what", "mean average precision %", "what it says")
    with (results / "experiments" / "detection.csv").open(newline="") as opened:
        rows = [
            [row["what"], percent(float(row["mean_average_precision"])), row["remark"]]
            for row in csv.DictReader(opened)
        ]
    return Table(columns, rows, numeric=frozenset(columns[1:2]))


def _found(results: Path, kind: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name of the folder, entry, and what it says of boxes, of each test that says something."""
    for path in sorted(results.glob("*/evaluation.json")):
        for entry in evaluations(path.parent).values():
            if kind in entry:
                yield path.parent.name, entry, entry[kind]


def _localized(found: Mapping[str, Any]) -> list[str]:
    """The cells of `_LOCALIZED`."""
    return [
        *(_error(each) for each in (found, *(found["baselines"][name] for name in BASELINES))),
        *(percent(found["top5_error"]), percent(found["top1_localization_error"]), f"{found['images']:,}"),
    ]


def _detected(found: Mapping[str, Any]) -> list[str]:
    """The cells of `_DETECTED`."""
    return [
        *(percent(found["mean_average_precision"]), percent(found.get("precision_of_windows"))),
        *(f"{found['objects']:,}", f"{found['images']:,}"),
    ]


def _published(row: BoxRow, columns: int) -> tuple[str, ...]:
    """The value in the first of so many columns."""
    return (row.system, row.data, ABSENT, percent(row.value), *(ABSENT,) * (columns - 1), row.source)


def _error(found: Mapping[str, Any]) -> str:
    return with_interval(found["top5_localization_error"], found["top5_localization_interval"])


def _not_recorded(columns: tuple[str, ...]) -> list[str]:
    return ["not recorded yet", *(ABSENT for _ in columns[1:])]
