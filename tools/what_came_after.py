"""Errors and costs of later networks, on the same photos and for as many epochs as AlexNet."""

from __future__ import annotations

from pathlib import Path

from alexnet.report.evaluation_tables import TRAINING_COLUMNS, TRAINING_NOTE
from alexnet.report.tables import ABSENT, Table, rate
from alexnet.runs.metrics_log import training_seconds
from tools.recorded_state import stale_notes
from tools.results_io import NOT_RECORDED, by_views, config_of, difference, training

NETWORKS = {
    "AlexNet, 2012": "alexnet-2012",
    "OverFeat fast, 2013": "overfeat-fast",
    "VGG-A with batch normalization, 2014": "vgg-a-batchnorm",
    "AlexNet with batch normalization": "alexnet-2012-batchnorm",
    "VGG-A, 2014": "vgg-a",
    "VGG-A with response normalization, 2014": "vgg-a-lrn",
}
"""The row's name, and the last part of the name of its recorded result."""
DATA = ("imagenette-side-256", "imagenette-side-72", "imagenette-side-72-60-epochs")
"""First part of the names of recorded results: photos as large as the papers', small ones, and longer."""
VIEWS = "ten"


def what_came_after(results: Path) -> Table:
    """A row for each recorded network: its error, the difference to AlexNet's, and its cost."""
    columns = (
        *("network", "photo size", "top-1 error % (95 % interval)", "minus AlexNet (points)"),
        *(*TRAINING_COLUMNS, "multiply-adds per crop, millions", "minutes of training", "device"),
        *("epochs", "seed"),
    )
    rows = [
        row
        for data in DATA
        for name, recipe in NETWORKS.items()
        if (row := _row(results, data, name, recipe))
    ]
    there = [
        name for data in DATA for last in NETWORKS.values() if (results / (name := f"{data}-{last}")).is_dir()
    ]
    notes = (
        "Ten crops. Differences are from AlexNet on photos of the same size, with intervals paired over "
        "the same photos. One run each.",
        TRAINING_NOTE,
        *stale_notes(results, there),
    )
    numeric = frozenset((*columns[4:8], columns[9]))
    return Table(columns, rows or [(NOT_RECORDED,) + (ABSENT,) * 10], notes=notes, numeric=numeric)


def _row(results: Path, data: str, name: str, recipe: str) -> list[str] | None:
    folder = results / f"{data}-{recipe}"
    result, config = by_views(folder).get(VIEWS), config_of(folder)
    if result is None or config is None:
        return None
    metrics = folder / "metrics.jsonl"
    return [
        f"[{name}](results/{folder.name})",
        f"{config.data.image_size} pixels",
        rate(result.top1),
        difference((folder, VIEWS), (results / f"{data}-{NETWORKS['AlexNet, 2012']}", VIEWS)),
        *training(folder),
        f"{result.multiply_adds / 1e7:,.0f}",
        f"{training_seconds(metrics) / 60:,.1f}",
        result.device,
        str(config.schedule.epochs),
        str(config.training.seed),
    ]
