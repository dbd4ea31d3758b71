"""`alexnet fit` on public photo sets: against what people write themselves, and its candidates by photos.

Source: `results/own-photos`, written by `benchmarks.own_photos`, `benchmarks.candidates` and
`benchmarks.label_errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import TypeVar

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from alexnet.report.plots.style import COLORS
from alexnet.report.tables import ABSENT, Table, percent, rate
from alexnet.runs.results import Rate
from alexnet.text import percentage
from benchmarks import candidates, label_errors, own_photos
from tools.results_io import NOT_RECORDED

FOLDER = "own-photos"
METHODS = {
    "fit": "`alexnet fit`",
    "hog": "HOG + logistic regression",
    "tutorial-net": "tutorial network",
    "alexnet-modern": "`alexnet-modern` alone",
}
GAIN = "tutorial network minus `fit` (points)"
CANDIDATES = ("linear", "linear-large", "fine-tuned", "small", "alexnet-modern", "sift-fv")
"""In the order of the table and of the colors."""

_Row = TypeVar("_Row", own_photos.Row, candidates.Row)


def rivals(results: Path) -> Table:
    """The error of each method on each set of photos, whole and with few photos.

    The interval of a mean over seeds is that of the test photos of all seeds together.
    """
    rows = own_photos.read(results / FOLDER)
    columns = ("photos", "of each class", "training photos", "test photos", "seeds", *METHODS.values(), GAIN)
    body: list[Sequence[str]] = []
    for photos, per_class in _sets(rows):
        here = [row for row in rows if (row.photos, row.per_class) == (photos, per_class)]
        of_methods = [[row for row in here if row.method == method] for method in METHODS]
        lowest = min(_pooled(each).error for each in of_methods if each)
        seeds = ", ".join(str(row.seed) for row in of_methods[0])
        cells = [_rival(each, lowest) for each in of_methods]
        body.append((*_described(photos, per_class, here), seeds or ABSENT, *cells, _gain(here)))
    notes = (
        "Top-1 errors in %: means over seeds, with 95 % intervals over the test photos of all seeds "
        "together. Another seed is another division of the photos, with other weights. The tutorial network "
        "has the same CPU time as `fit`. Bold is the lowest mean.",
        "Points: mean over seeds, with the lowest and highest in parentheses.",
    )
    return _table(columns, body, notes)


def _pooled(rows: Sequence[own_photos.Row]) -> Rate:
    return Rate.of(sum(row.errors for row in rows), sum(row.test_photos for row in rows))


def _rival(rows: Sequence[own_photos.Row], lowest: float) -> str:
    if not rows:
        return ABSENT
    found = _pooled(rows)
    shown = rate(found)
    number = percent(found.error)
    return shown.replace(number, f"**{number}**", 1) if found.error == lowest else shown


def _gain(rows: Sequence[own_photos.Row]) -> str:
    """The error of the tutorial's network minus that of `fit`, in points, seed by seed."""
    errors = {(row.method, row.seed): row.errors / row.test_photos for row in rows}
    gains = [
        error - errors["fit", seed]
        for (method, seed), error in errors.items()
        if method == "tutorial-net" and ("fit", seed) in errors
    ]
    return _cell(gains, is_lowest=False) if gains else ABSENT


def by_photos(results: Path) -> Table:
    """The error of each candidate by the number of photos of each class, and of averages of candidates."""
    rows = candidates.read(results / FOLDER)
    averages = tuple(" + ".join(names) for names in candidates.AVERAGES)
    columns = ("photos", "of each class", "training photos", "test photos", *CANDIDATES, *averages)
    body: list[Sequence[str]] = []
    for photos, per_class in _sets(rows):
        here = [row for row in rows if (row.photos, row.per_class) == (photos, per_class)]
        errors = [
            _errors([row for row in here if row.candidate == name]) for name in (*CANDIDATES, *averages)
        ]
        body.append((*_described(photos, per_class, here), *_cells(errors)))
    notes = (
        "Top-1 errors in %, the center crop: mean over seeds, with the lowest and highest of them in "
        "parentheses; another seed is another division of the photos, with other weights. Without "
        "parentheses: one run. Bold is the lowest mean, among those over the most seeds.",
    )
    return _table(columns, body, notes)


def training(results: Path) -> Table:
    """How far the candidates that gain from time were trained: updates, and training error at the end."""
    rows = candidates.read(results / FOLDER)
    names = [name for name in CANDIDATES if any(row.candidate == name and row.training_error for row in rows)]
    body: list[Sequence[str]] = []
    for photos, per_class in _sets(rows):
        here = [row for row in rows if (row.photos, row.per_class) == (photos, per_class)]
        cells = [_trained([row for row in here if row.candidate == name]) for name in names]
        body.append((photos, f"{per_class:,}" if per_class else "all", *cells))
    empty = [(NOT_RECORDED, *[ABSENT] * (len(names) + 1))]
    notes = (
        "Updates, and the training error in % of the last logged ones, on augmented images: mean over seeds.",
    )
    return Table(("photos", "of each class", *names), body or empty, notes=notes)


def _trained(rows: Sequence[candidates.Row]) -> str:
    errors = [row.training_error for row in rows if row.training_error is not None]
    return f"{rows[0].updates:,}; {100 * mean(errors):.1f}" if errors else ABSENT


def wrong_labels(results: Path) -> Table:
    """The planted wrong labels that are found by the features of `linear`, and by `sift-fv`."""
    rows = label_errors.read(results / FOLDER)
    columns = ("photos", "number", "wrong", "seeds", "by", "found in the ranking", "listed")
    columns += ("precision of the list", "recall of the list")
    body: list[Sequence[str]] = []
    for photos, model in dict.fromkeys((row.photos, row.model) for row in rows):
        here = [row for row in rows if (row.photos, row.model) == (photos, model)]
        found = [row.found / row.planted for row in here]
        listed, right = sum(row.listed for row in here), sum(row.found_listed for row in here)
        body.append(
            (
                *(photos, f"{here[0].number:,}", f"{here[0].planted:,}"),
                ", ".join(str(row.seed) for row in here),
                f"`{model}`",
                _cell(found, is_lowest=False),
                f"{listed / len(here):.0f}",
                percent(right / listed) if listed else ABSENT,
                percent(right / sum(row.planted for row in here)),
            )
        )
    notes = (
        "In %. Found in the ranking: of the wrong labels, those of the first photos, as many as labels are "
        "wrong (this is both precision and recall); mean over seeds, with the lowest and highest. Listed: "
        "photos within the limits of `fit`, mean over seeds; precision and recall over all seeds together.",
    )
    table = _table(columns, body, notes)
    return Table(table.columns, table.rows, numeric=frozenset({*columns[1:3], *columns[6:]}), notes=notes)


def picture(results: Path) -> tuple[Figure, str]:
    """The error of each candidate by the number of photos of each class, with a description."""
    rows = candidates.read(results / FOLDER)
    sets = list(dict.fromkeys(row.photos for row in rows))
    figure = Figure(figsize=(4 * max(len(sets), 1), 3.6), layout="constrained")
    described: list[str] = []
    panels = figure.subplots(1, max(len(sets), 1), squeeze=False)[0]
    for axes, photos in zip(panels, sets or [""], strict=True):
        for name, color in zip(CANDIDATES, COLORS, strict=False):
            found = [row for row in rows if (row.photos, row.candidate) == (photos, name)]
            counts = sorted({_photos_of_class(row) for row in found})
            errors = [_errors([row for row in found if _photos_of_class(row) == count]) for count in counts]
            axes.plot(counts, [mean(each) for each in errors], color=color, label=name, linewidth=1.8)
            for count, each in zip(counts, errors, strict=True):
                axes.plot([count] * len(each), each, ".", color=color, markersize=5)
            pairs = zip(counts, errors, strict=True)
            listed = ", ".join(f"{count:,}: {percentage(mean(each))}" for count, each in pairs)
            described.append(f"{photos}, {name}: {listed or NOT_RECORDED}.")
        axes.set_xscale("log")
        shown = sorted({_photos_of_class(row) for row in rows if row.photos == photos})
        axes.set_xticks(shown, [f"{count:,}" for count in shown], minor=False)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("training photos of each class")
        axes.set_title(photos or NOT_RECORDED, fontsize=11)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0, symbol=" %"))
        axes.grid(alpha=0.25)
    figure.axes[0].set_ylabel("top-1 error, one crop")
    figure.axes[0].legend(fontsize=8)
    return figure, " ".join(["Error of each candidate by training photos of each class.", *described])


def _photos_of_class(row: candidates.Row) -> int:
    return row.per_class or round(row.training_photos / row.classes)


def _sets(rows: Iterable[_Row]) -> list[tuple[str, int]]:
    """(set, photos of each class): the sets as recorded; in each the fewest photos first, all last."""
    found = dict.fromkeys((row.photos, row.per_class) for row in rows)
    order = list(dict.fromkeys(photos for photos, _ in found))
    return sorted(found, key=lambda each: (order.index(each[0]), each[1] or float("inf")))


def _described(photos: str, per_class: int, rows: Sequence[_Row]) -> tuple[str, str, str, str]:
    row = rows[0]
    return (
        photos,
        f"{per_class:,}" if per_class else "all",
        f"{row.training_photos:,}",
        f"{row.test_photos:,}",
    )


def _errors(rows: Sequence[_Row]) -> list[float]:
    return [row.errors / row.test_photos for row in rows]


def _cells(errors: Sequence[list[float]]) -> list[str]:
    """Mean over seeds and its range; the lowest mean is bold, among those over the most seeds."""
    seeds = max(map(len, errors))
    lowest = min((mean(each) for each in errors if each and len(each) == seeds), default=0.0)
    return [_cell(each, len(each) == seeds and mean(each) == lowest) if each else ABSENT for each in errors]


def _cell(errors: list[float], is_lowest: bool) -> str:
    spread = f" ({100 * min(errors):.1f} to {100 * max(errors):.1f})" if len(errors) > 1 else ""
    found = f"{100 * mean(errors):.1f}"
    return f"{f'**{found}**' if is_lowest else found}{spread}"


def _table(columns: Sequence[str], body: Sequence[Sequence[str]], notes: Sequence[str]) -> Table:
    empty = [(NOT_RECORDED, *[ABSENT] * (len(columns) - 1))]
    return Table(columns, body or empty, numeric=frozenset(columns[2:4]), notes=notes)
