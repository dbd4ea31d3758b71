"""What came after AlexNet, on the same photos and for as many epochs: errors beside what they cost."""

from __future__ import annotations

import json
from pathlib import Path

from alexnet.evaluation.metrics import paired_interval
from alexnet.report.tables import ABSENT, Table, signed, with_interval
from alexnet.runs.metrics_log import last_training_error, training_seconds
from tools.results_io import evaluations, wrong_answers

NETS = {
    "AlexNet, 2012": "alexnet-2012",
    "OverFeat fast, 2013": "overfeat-fast",
    "VGG-A with batch normalization, 2014": "vgg-a-batchnorm",
}
"""What the row is called, and its recipe."""
ON = ("imagenette-side-256", "imagenette-side-72")
"""What the names of these recorded results begin with: photos as large as the papers', and small ones."""
VIEWS = "ten"


def what_came_after(results: Path) -> Table:
    """A row for each net that was recorded: its error, the difference to AlexNet's, and its cost."""
    columns = (
        *("net", "photos of", "top-1 error % (95 % interval)", "more than AlexNet", "training error %"),
        *("multiply-adds a crop, millions", "minutes of training", "on", "epochs", "seed"),
    )
    rows = [row for on in ON for name, recipe in NETS.items() if (row := _row(results, on, name, recipe))]
    notes = (
        "Ten crops. More than AlexNet: points of top-1 error, with the 95 % interval of the same photos, as "
        "large, answered by both. Training error: in the end, of augmented photos with dropout on. One run "
        "each.",
    )
    numeric = frozenset((*columns[4:7], columns[8]))
    return Table(columns, rows or [("not recorded yet",) + (ABSENT,) * 9], notes=notes, numeric=numeric)


def _row(results: Path, on: str, name: str, recipe: str) -> list[str] | None:
    folder = results / f"{on}-{recipe}"
    tests = evaluations(folder)
    if VIEWS not in tests:
        return None
    entry, config = tests[VIEWS], json.loads((folder / "config.json").read_text())
    metrics = folder / "metrics.jsonl"
    learned = last_training_error(metrics)
    return [
        f"[{name}](results/{folder.name})",
        f"{config['data']['image_size']} pixels",
        with_interval(entry["top1_error"], entry["top1_interval"]),
        _more(results / f"{on}-{NETS['AlexNet, 2012']}", folder),
        ABSENT if learned is None else f"{100 * learned:.1f}",
        f"{entry['multiply_adds'] / 1e7:,.0f}",
        f"{training_seconds(metrics) / 60:,.1f}",
        entry["device"],
        str(config["schedule"]["epochs"]),
        str(config["training"]["seed"]),
    ]


def _more(alexnet: Path, folder: Path) -> str:
    mine, theirs = (wrong_answers(each, VIEWS) for each in (folder, alexnet))
    if folder == alexnet or mine is None or theirs is None:
        return ABSENT
    return signed(float(mine.mean() - theirs.mean()), paired_interval(mine, theirs))
