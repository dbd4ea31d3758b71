"""The recorded 1 CNN* and 1 CNN during training: what pre-training gains, and where the gain is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from alexnet.report.tables import ABSENT, Table, percent
from alexnet.runs.metrics_log import read_metrics

MODELS = {
    "1 CNN": ("imagenette-alexnet-2012", "imagenette-alexnet-2012-seed-1"),
    "1 CNN*": ("imagenette-alexnet-2012-star", "imagenette-alexnet-2012-star-seed-1"),
}
"""Recorded runs of seeds 0 and 1."""
EVERY_EPOCHS, EPOCHS = 5, 40

Log = Sequence[Mapping[str, Any]]


def star_course(results: Path) -> Table:
    """Validation and training errors of both models, seeds 0 and 1, after every fifth epoch."""
    logs = {
        model: [read_metrics(path) for name in names if (path := results / name / "metrics.jsonl").is_file()]
        for model, names in MODELS.items()
    }
    kinds = [(kind, model) for kind in ("validation", "train") for model in MODELS]
    rows = [
        [str(epoch), _updates(logs, epoch), *(_cell(logs[model], kind, epoch) for kind, model in kinds)]
        for epoch in range(EVERY_EPOCHS, EPOCHS + 1, EVERY_EPOCHS)
    ]
    columns = (
        *("epochs", "updates"),
        *(f"{model}: {kind} error %" for kind in ("validation", "training") for model in MODELS),
    )
    notes = [
        "Top-1 errors of seed 0 / seed 1: validation with the center crop; training in the epoch before, on "
        "augmented photos, with dropout. A run ends early when its learning rate has had all its drops."
    ]
    return Table(columns, rows, numeric=frozenset(columns), notes=notes)


def _updates(logs: Mapping[str, Sequence[Log]], epoch: int) -> str:
    """Updates after `epoch` epochs, the same in all runs."""
    steps = [
        line["step"]
        for each in logs.values()
        for log in each
        for line in log
        if line["event"] == "validation" and line["epoch"] == epoch
    ]
    return f"{steps[0]:,}" if steps else ABSENT


def _cell(logs: Sequence[Log], kind: str, epoch: int) -> str:
    return " / ".join(percent(_error(log, kind, epoch)) for log in logs) or ABSENT


def _error(log: Log, kind: str, epoch: int) -> float | None:
    """Top-1 error after `epoch` epochs, or, in training, in the last of them; None after the run's end."""
    if kind == "validation":
        found = [
            line["top1_error"] for line in log if line["event"] == "validation" and line["epoch"] == epoch
        ]
        return found[-1] if found else None
    inside = [line["error"] for line in log if line["event"] == "train" and line["epoch"] == epoch - 1]
    return mean(inside) if inside else None
