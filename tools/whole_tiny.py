"""The whole of Tiny ImageNet: each system by photos of each class, and the AlexNets of others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from alexnet.published import tiny_imagenet
from alexnet.report.evaluation_tables import TRAINING_COLUMNS, TRAINING_NOTE, training_cells
from alexnet.report.plots.style import COLORS
from alexnet.report.tables import ABSENT, Table, percent
from alexnet.runs.metrics_log import training_end
from alexnet.runs.results import EvalResult
from alexnet.text import percentage
from tools.recorded_run import TINY_WHOLE
from tools.recorded_runs import PER_CLASS, RUNS, WHOLE_SEEDS
from tools.results_io import NOT_RECORDED, by_views

SYSTEMS = {
    "LeNet-5": "lenet-5",
    "sparse coding": "sparse-coding",
    "SIFT + Fisher vectors": "sift-fv",
    "AlexNet, 2012": "alexnet-2012",
    "AlexNet, modern": "alexnet-modern",
}
"""The row's name, and its recipe."""
COMPARED = ("SIFT + Fisher vectors", "AlexNet, 2012")
"""The systems whose errors are drawn by the number of photos."""


@dataclass(frozen=True)
class _Recorded:
    """The recorded runs of one system with one number of photos of each class."""

    folders: tuple[Path, ...]
    results: tuple[EvalResult, ...]
    """With ten crops for networks that have them, else with whole photos."""

    @property
    def top1(self) -> float | None:
        """The mean error over seeds; None without runs."""
        return fmean(each.top1.error for each in self.results) if self.results else None

    @property
    def top5(self) -> float | None:
        """Likewise."""
        errors = [each.top5.error for each in self.results if each.top5]
        return fmean(errors) if errors else None


def _recorded(results: Path, recipe: str, per_class: int) -> _Recorded:
    name = f"{TINY_WHOLE.name}-{per_class}-a-class-{recipe}"
    names = (name, *(f"{name}-seed-{seed}" for seed in WHOLE_SEEDS))
    runs = [run for run in RUNS if run.name in names and by_views(results / run.name)]
    found = [by_views(results / run.name)[run.views[-1]] for run in runs]
    return _Recorded(tuple(results / run.name for run in runs), tuple(found))


def whole_tiny(results: Path) -> Table:
    """A row for each system and number of photos of each class, then those of others."""
    columns = (
        *("system", "photos of each class", "top-1 error %", "each seed %", "top-5 error %"),
        *(*TRAINING_COLUMNS, "source"),
    )
    rows = [
        _row(system, per_class, found)
        for system, recipe in SYSTEMS.items()
        for per_class in PER_CLASS
        if (found := _recorded(results, recipe, per_class)).results
    ]
    rows += [
        [
            *(row.system, f"{max(PER_CLASS)}", percent(row.top1), ABSENT, percent(row.top5)),
            *(ABSENT, ABSENT, row.source),
        ]
        for row in tiny_imagenet.ROWS
    ]
    notes = (
        "200 classes, 10,000 validation photos; ours with ten crops for AlexNet, with whole photos for the "
        "others. Those of others were trained from random weights.",
        TRAINING_NOTE,
    )
    return Table(columns, rows, notes=notes, numeric=frozenset(columns[1:7]))


def _row(system: str, per_class: int, found: _Recorded) -> list[str]:
    ends = [training_end(folder / "metrics.jsonl") for folder in found.folders]
    return [
        *(system, str(per_class), percent(found.top1)),
        ", ".join(percent(each.top1.error) for each in found.results) or ABSENT,
        percent(found.top5),
        *training_cells(ends),
        "ours",
    ]


def picture(results: Path) -> tuple[Figure, str]:
    """The error of SIFT + Fisher vectors and of AlexNet by photos of each class, with a description."""
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    described: list[str] = []
    for system, color in zip(COMPARED, COLORS, strict=False):
        found = {count: _recorded(results, SYSTEMS[system], count) for count in PER_CLASS}
        means = {count: each.top1 for count, each in found.items() if each.top1 is not None}
        axes.plot([*means], [*means.values()], color=color, label=system, linewidth=1.8)
        for count, each in found.items():
            errors = [result.top1.error for result in each.results]
            axes.plot([count] * len(errors), errors, ".", color=color, markersize=5)
        listed = ", ".join(f"{count}: {percentage(error)}" for count, error in means.items())
        described.append(f"{system}: {listed or NOT_RECORDED}.")
    axes.set_xscale("log")
    axes.set_xticks(PER_CLASS, [str(count) for count in PER_CLASS], minor=False)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training photos of each of 200 classes")
    axes.set_ylabel("top-1 error")
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    title = "Top-1 error on the whole of Tiny ImageNet by training photos of each class."
    return figure, " ".join([title, *described])
