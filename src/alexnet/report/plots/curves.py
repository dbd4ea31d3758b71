"""Training curves: loss and errors over epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from alexnet.report.plots.style import COLORS, put_title
from alexnet.tasks.config import TASKS, LoggedErrors

Records = Sequence[Mapping[str, Any]]
"""The lines of a `metrics.jsonl`."""

FEW_RUNS = 4
"""Up to this many runs have their legend inside the axes and their learning-rate changes marked."""

_STYLES = ("-", "--", "-.")


def draw_curves(
    runs: Mapping[str, Records], title: str = "", names: Mapping[str, LoggedErrors] | None = None
) -> Figure:
    """Training loss (left) and validation error (right) of runs by name, over epochs.

    `names` describes the errors of each run, by default classification errors; runs that log another
    kind of error are drawn in a row of their own. Faint lines on the right are errors on the augmented
    training images. Dotted vertical lines in a run's color are changes of its learning rate (drops and ends
    of warm-up); they are left out for more than `FEW_RUNS` runs. `title` is the figure's.
    """
    many = len(runs) > FEW_RUNS
    kinds = {name: (names or {}).get(name, TASKS[0].logged) for name in runs}
    rows = list(dict.fromkeys(kinds.values())) or [TASKS[0].logged]
    figure = Figure(figsize=(12.5 if many else 10, 4 * len(rows)), layout="constrained")
    panels = figure.subplots(len(rows), 2, squeeze=False)
    for place, (name, records) in enumerate(runs.items()):
        look = {"color": COLORS[place % len(COLORS)], "linestyle": _STYLES[place % len(_STYLES)]}
        left, right = panels[rows.index(kinds[name])]
        _draw_run(left, right, records, {"label": name, **look})
        if not many:
            _mark_rates(records, (left, right), look["color"])
    dropped = not many and any(
        record["event"] == "learning-rate" for records in runs.values() for record in records
    )
    epochs = "epochs (dotted: the learning rate changed)" if dropped else "epochs"
    for kind, (left, right) in zip(rows, panels, strict=True):
        _name_axes(left, "Training loss", epochs, "loss")
        name = f"Validation error (faint: {kind.training})"
        _name_axes(right, name, epochs, f"{kind.validation}, {kind.views}")
        right.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
        if not many:
            right.legend(frameon=False)
    if many:
        figure.legend(*_names([*panels[:, 1]], runs), loc="outside right upper", frameon=False, fontsize=8.5)
    put_title(figure, title)
    return figure


def rise_from_zero(axes: Axes) -> None:
    """Starts the vertical axis at 0 and ends it above the highest point."""
    highest = axes.dataLim.y1
    axes.set_ylim(0, 1.06 * highest if 0 < highest < math.inf else 1)


def _draw_run(left: Axes, right: Axes, records: Records, look: Mapping[str, Any]) -> None:
    steps = _steps_per_epoch(records)
    faint: dict[str, Any] = {**look, "label": "_"}
    left.plot(*_training(records, "loss", steps), linewidth=1.2, **look)
    right.plot(*_curve(records, "validation", "top1_error", steps), marker=".", **look)
    right.plot(*_training(records, "error", steps), linewidth=1, alpha=0.45, **faint)


def _names(panels: Sequence[Axes], runs: Mapping[str, Records]) -> tuple[list[Any], list[str]]:
    """Legend entries: lines and names of the runs in all panels, in the order of the runs."""
    lines: dict[str, Any] = {}
    for axes in panels:
        handles, names = axes.get_legend_handles_labels()
        lines |= zip(names, handles, strict=True)
    return [lines[name] for name in runs], list(runs)


def _curve(records: Records, event: str, value: str, steps: float) -> tuple[list[float], list[float]]:
    """Epochs and values of one kind of event."""
    lines = [record for record in records if record["event"] == event]
    return [record["step"] / steps for record in lines], [record[value] for record in lines]


def _training(records: Records, value: str, steps: float) -> tuple[list[float], list[float]]:
    """Epochs and means of a value, each over at least a quarter of an epoch: a log line may cover few
    updates.
    """
    epochs: list[float] = []
    means: list[float] = []
    before = updates = 0
    total = 0.0
    for record in records:
        if record["event"] != "train" or value not in record:
            continue
        total += record[value] * (record["step"] - before)
        updates, before = updates + record["step"] - before, record["step"]
        if updates >= steps / 4:
            epochs.append(before / steps)
            means.append(total / updates)
            updates, total = 0, 0.0
    return epochs, means


def _steps_per_epoch(records: Records) -> float:
    """Updates per epoch, from the last validation at the end of an epoch."""
    ends = [record for record in records if record["event"] == "validation" and record["epoch"]]
    return ends[-1]["step"] / ends[-1]["epoch"] if ends else 1.0


def _mark_rates(records: Records, panels: Sequence[Axes], color: str) -> None:
    for epoch in _curve(records, "learning-rate", "learning_rate", _steps_per_epoch(records))[0]:
        for axes in panels:
            axes.axvline(epoch, color=color, linestyle=":", linewidth=0.9, alpha=0.7)


def _name_axes(axes: Axes, title: str, horizontal: str, vertical: str) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(horizontal)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel(vertical)
    rise_from_zero(axes)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
