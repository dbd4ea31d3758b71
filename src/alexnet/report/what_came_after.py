"""What came after AlexNet, on the same photos and for as many epochs: errors beside what they cost."""

from __future__ import annotations

import json
from pathlib import Path

from alexnet.evaluation.metrics import paired_interval
from alexnet.report.evidence import evaluations, wrong_answers
from alexnet.report.tables import ABSENT, Table, signed, with_interval
from alexnet.runs.metrics_log import last_training_error, training_seconds

NETS = {
    "AlexNet, 2012": "alexnet-2012",
    "OverFeat fast, 2013": "overfeat-fast",
    "VGG-A with batch normalisation, 2014": "vgg-a-batchnorm",
}
"""What the row is called, and its recipe."""
ON = "imagenette-side-256"
"""What the names of these recorded results begin with."""
VIEWS = "ten"


def what_came_after(results: Path) -> Table:
    """A row for each net that was recorded: its error, the difference to AlexNet's, and its cost."""
    columns = (
        *("net", "top-1 error % (95 % interval)", "more than AlexNet", "training error %"),
        *("multiply-adds a crop, millions", "minutes of training", "on", "epochs", "seed"),
    )
    rows = [row for name, recipe in NETS.items() if (row := _row(results, name, recipe))]
    notes = (
        "Ten crops of squares of 256 pixels. More than AlexNet: points of top-1 error, with the 95 % "
        "interval of the same photos answered by both. Training error: in the end, of augmented photos with "
        "dropout on. One run each.",
    )
    numeric = frozenset((*columns[3:6], columns[7]))
    return Table(columns, rows or [("not recorded yet",) + (ABSENT,) * 8], notes=notes, numeric=numeric)


def _row(results: Path, name: str, recipe: str) -> list[str] | None:
    folder = results / f"{ON}-{recipe}"
    tests = evaluations(folder)
    if VIEWS not in tests:
        return None
    entry, config = tests[VIEWS], json.loads((folder / "config.json").read_text())
    metrics = folder / "metrics.jsonl"
    learned = last_training_error(metrics)
    return [
        f"[{name}](results/{folder.name})",
        with_interval(entry["top1_error"], entry["top1_interval"]),
        _more(results, folder),
        ABSENT if learned is None else f"{100 * learned:.1f}",
        f"{entry['multiply_adds'] / 1e7:,.0f}",
        f"{training_seconds(metrics) / 60:,.1f}",
        entry["device"],
        str(config["schedule"]["epochs"]),
        str(config["training"]["seed"]),
    ]


def _more(results: Path, folder: Path) -> str:
    alexnet = results / f"{ON}-{NETS['AlexNet, 2012']}"
    mine, theirs = (wrong_answers(each, VIEWS) for each in (folder, alexnet))
    if folder == alexnet or mine is None or theirs is None:
        return ABSENT
    return signed(float(mine.mean() - theirs.mean()), paired_interval(mine, theirs))
