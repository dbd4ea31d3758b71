"""The tables of docs/classic.md: the recipes' channels, their cost, and the cost of ILSVRC-2012."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

from alexnet import recipes
from alexnet.classic.config import Channel
from alexnet.published import caltech as published
from alexnet.report.tables import ABSENT, Table, percent
from alexnet.runs.metrics_log import read_metrics
from benchmarks import caltech
from tools.results_io import NOT_RECORDED, by_views, read_csv

RECIPES = ("sift-fv", "sparse-coding")
RUNS = "imagenette-{recipe}"
"""Recorded results for which the stages of each channel are shown."""


def channels(results: Path) -> Table:
    """The default channel, and the channels of the two recipes."""
    listed = [("default", ABSENT, Channel())]
    listed += [
        (recipe, str(number), each) for recipe in RECIPES for number, each in enumerate(_channels(recipe), 1)
    ]
    rows = [
        [
            recipe,
            number,
            each.descriptor,
            ", ".join(map(str, each.patches)),
            str(each.step),
            str(each.pca) if each.pca else ABSENT,
            each.encoding,
            f"{each.codebook_size:,}",
            " + ".join(each.pyramid),
        ]
        for recipe, number, each in listed
    ]
    columns = (
        *("recipe", "channel", "descriptor", "patches, pixels", "step, pixels", "PCA dimensions"),
        *("encoding", "codebook size", "spatial pyramid"),
    )
    return Table(
        columns, rows, numeric=frozenset(("channel", "step, pixels", "PCA dimensions", "codebook size"))
    )


def stages(results: Path) -> Table:
    """The time of each channel in the recorded runs, and its error on held-out photos."""
    rows = [row for recipe in RECIPES for row in _stages(recipe, results / RUNS.format(recipe=recipe))]
    minutes = ("codebook, minutes", "encoding, minutes", "classifier, minutes")
    columns = ("recipe", "channel", *minutes, "epochs", "held-out error %")
    notes = ("Last row of each recipe: the mean over its channels, and its error on the validation photos.",)
    return Table(columns, rows, numeric=frozenset(columns[2:]), notes=notes)


def needs(results: Path) -> Table:
    """The cost of each recipe for a photo and for the whole of ILSVRC-2012, measured or counted."""
    values: dict[str, dict[str, str]] = {}
    for row in _benchmark(results):
        recipe, _, what = row["name"].partition(", ")
        if recipe in RECIPES:
            named = values.setdefault(f"{what}, {row['unit']}", {})
            named[recipe] = f"{float(row['value']):.3g}"
    rows = [[what, *(given.get(recipe, ABSENT) for recipe in RECIPES)] for what, given in values.items()]
    return Table(("what", *RECIPES), rows, numeric=frozenset(RECIPES))


CALTECH = "caltech-101"
_TITLES = {
    "fisher": "SIFT + Fisher vectors",
    "fisher-color": "SIFT and color + Fisher vectors",
    "llc": "HOG + locality-constrained linear coding",
}


def caltech_101(results: Path) -> Table:
    """Mean accuracies of the classes of Caltech-101: ours by system, and the published ones."""
    found = caltech.read(results / CALTECH)
    body = [
        [row.system, row.source, ABSENT, f"{100 * (1 - row.top1):.1f}"]
        for row in published.ROWS
        if row.top1 is not None
    ]
    for system, title in _TITLES.items():
        rows = [row for row in found if row.system == system]
        accuracies = [100 * (1 - row.balanced_error) for row in rows]
        shown = f"{mean(accuracies):.1f}" if rows else NOT_RECORDED
        if len(rows) > 1:
            shown += f" ({min(accuracies):.1f} to {max(accuracies):.1f})"
        body.append([title, "this project", str(len(rows)) if rows else ABSENT, shown])
    notes = (
        f"{published.TRAINING_PHOTOS} training photos of each class, at most "
        f"{published.MOST_TEST_PHOTOS} test photos; mean over divisions of the photos, with the lowest and "
        "highest in parentheses.",
    )
    columns = ("system", "by", "divisions", "mean accuracy of classes %")
    return Table(columns, body, numeric=frozenset(columns[2:]), notes=notes)


def _channels(recipe: str) -> tuple[Any, ...]:
    classic = recipes.get(recipe).classic
    return classic.channels if classic else ()


def _stages(recipe: str, folder: Path) -> list[list[str]]:
    """A row for each channel and one for all of them, or one row without a result."""
    log = read_metrics(folder / "metrics.jsonl") if (folder / "metrics.jsonl").is_file() else []
    took = {(line["channel"], line["name"]): line for line in log if line["event"] == "stage"}
    if not took:
        return [[recipe, NOT_RECORDED, *[ABSENT] * 5]]
    rows: list[list[str]] = []
    for number, each in enumerate(_channels(recipe), 1):
        lines = [took[f"channel{number}", name] for name in ("learn", "encode", "classify")]
        minutes = [f"{line['stage_seconds'] / 60:.1f}" for line in lines]
        called = f"{number}: {each.descriptor}, {each.encoding}"
        rows.append([recipe, called, *minutes, str(lines[-1]["passes"]), percent(lines[-1]["error"])])
    totals = [
        sum(line["stage_seconds"] for (_, name), line in took.items() if name == stage) / 60
        for stage in ("learn", "encode", "classify")
    ]
    error = by_views(folder)["center"].top1.error
    return [*rows, [recipe, "all", *(f"{total:.1f}" for total in totals), ABSENT, percent(error)]]


def _benchmark(results: Path) -> list[dict[str, str]]:
    return read_csv(results / "benchmarks" / "classic.csv")
