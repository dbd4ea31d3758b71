"""Where things are: recorded runs that say boxes, beside boxes that know nothing of the photo."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alexnet.report.evidence import evaluations
from alexnet.report.tables import ABSENT, Table, percent, with_interval

BASELINES = ("whole image", "centre box of mean size", "class-mean box")
"""As `localization.baselines` of an evaluation names them."""


def localization(results: Path) -> Table:
    """A row for each test of each recorded run that localises: its error and, with its classes, theirs."""
    columns = (
        *("run", "views", "top-5 localisation error % (95 % interval)"),
        *BASELINES,
        *("of classes alone", "top-1 localisation error %", "images"),
    )
    rows = [
        [
            f"[`{entry['runs'][0]['recipe']}`](results/{folder})",
            entry["views"],
            *(_error(each) for each in (found, *(found["baselines"][name] for name in BASELINES))),
            percent(found["top5_error"]),
            percent(found["top1_localization_error"]),
            f"{found['images']:,}",
        ]
        for folder, entry, found in _found(results, "localization")
    ]
    notes = (
        "Right is a class, of the five that were said, with a box that overlaps the object's by half or "
        "more. The three boxes that know nothing of the photo stand with the same five classes.",
    )
    numeric = frozenset(columns[-3:])
    return Table(columns, rows or [_not_recorded(columns)], notes=notes, numeric=numeric)


def objects(results: Path) -> Table:
    """A row for each recorded run that detects: its precision, and that of its windows as boxes."""
    columns = ("run", "data", "mean average precision %", "of windows, rightly named %", "objects", "images")
    rows = [
        [
            f"[`{entry['runs'][0]['recipe']}`](results/{folder})",
            f"{entry['store']} {entry['split']}",
            percent(found["mean_average_precision"]),
            percent(found["precision_of_windows"]),
            f"{found['objects']:,}",
            f"{found['images']:,}",
        ]
        for folder, entry, found in _found(results, "detection")
    ]
    notes = (
        "The fourth column is what the windows come to that the net slides, as boxes, if all are named "
        "rightly: more than that is learned of boxes.",
    )
    numeric = frozenset(columns[2:])
    return Table(columns, rows or [_not_recorded(columns)], notes=notes, numeric=numeric)


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


def _error(found: dict[str, Any]) -> str:
    return with_interval(found["top5_localization_error"], found["top5_localization_interval"])


def _not_recorded(columns: tuple[str, ...]) -> list[str]:
    return ["not recorded yet", *(ABSENT for _ in columns[1:])]
