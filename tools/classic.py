"""The tables of docs/classic.md: the recipes' channels, what they took, and what ILSVRC would take."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from alexnet import recipes
from alexnet.classic.config import Channel
from alexnet.report.tables import ABSENT, Table, percent
from alexnet.runs.metrics_log import read_metrics
from tools.results_io import evaluations

RECIPES = ("sift-fv", "sparse-coding")
RUNS = "imagenette-{recipe}"
"""Recorded results of which each channel's stages are shown."""


def channels(results: Path) -> Table:
    """What a channel is where nothing is typed, and what each of the two recipes' is."""
    listed = [("where nothing is typed", ABSENT, Channel())]
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
        *("recipe", "channel", "descriptor", "patches, pixels", "step, pixels", "reduced to"),
        *("code", "words", "cells"),
    )
    return Table(columns, rows, numeric=frozenset(("channel", "step, pixels", "reduced to", "words")))


def stages(results: Path) -> Table:
    """What each channel took in the recorded runs, and its error on the photos held out."""
    rows = [row for recipe in RECIPES for row in _stages(recipe, results / RUNS.format(recipe=recipe))]
    minutes = ("learning, minutes", "encoding, minutes", "classifying, minutes")
    columns = ("recipe", "channel", *minutes, "passes", "error % held out")
    notes = ("A recipe's last row has all channels averaged, and the error on the validation photos.",)
    return Table(columns, rows, numeric=frozenset(columns[2:]), notes=notes)


def needs(results: Path) -> Table:
    """What each recipe takes for a photo and for the whole of ILSVRC-2012, measured or counted."""
    values: dict[str, dict[str, str]] = {}
    for row in _benchmark(results):
        recipe, _, what = row["name"].partition(", ")
        if recipe in RECIPES:
            named = values.setdefault(f"{what}, {row['unit']}", {})
            named[recipe] = f"{float(row['value']):.3g}"
    rows = [[what, *(given.get(recipe, ABSENT) for recipe in RECIPES)] for what, given in values.items()]
    return Table(("what", *RECIPES), rows, numeric=frozenset(RECIPES))


def _channels(recipe: str) -> tuple[Any, ...]:
    classic = recipes.get(recipe).classic
    return classic.channels if classic else ()


def _stages(recipe: str, folder: Path) -> list[list[str]]:
    """A row for each channel and one for all of them; one that says so where there is no such result."""
    log = read_metrics(folder / "metrics.jsonl") if (folder / "metrics.jsonl").is_file() else []
    took = {(line["channel"], line["name"]): line for line in log if line["event"] == "stage"}
    if not took:
        return [[recipe, "not recorded yet", *[ABSENT] * 5]]
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
    error = evaluations(folder)["center"]["top1_error"]
    return [*rows, [recipe, "all", *(f"{total:.1f}" for total in totals), ABSENT, percent(error)]]


def _benchmark(results: Path) -> list[dict[str, str]]:
    path = results / "benchmarks" / "classic.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as opened:
        return list(csv.DictReader(opened))
