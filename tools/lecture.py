"""Tables and figures of docs/lecture.md: published numbers beside ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from alexnet import recipes
from alexnet.analysis.lateral_inhibition import peak, responses_alone
from alexnet.experiments.model_averaging import read_model_averaging
from alexnet.models.layers.local_response_norm import LocalResponseNorm
from alexnet.models.registry import build_run
from alexnet.published import rows_of, vgg
from alexnet.published.imagenet import WINNERS
from alexnet.report.sections import lecture
from alexnet.report.tables import ABSENT, Table, percent
from tools.results_io import NOT_RECORDED

FOLDER = "lecture"
"""Folder under `results` with what `alexnet lecture --model` wrote."""
SHOWN_MASKS = (1, 2, 5, 10, 20, 50, 100)
RECIPES = {"NEC-UIUC": "sparse-coding", "XRCE": "sift-fv", "SuperVision": "alexnet-2012"}
"""Our recipe for the method of a winner."""
VGG_RECIPES = {"A": "vgg-a", "A-LRN": "vgg-a-lrn"}
CLASSES = 1000
"""The number of classes for which VGG's parameters are published."""


def winners(results: Path) -> Table:
    """The lowest errors of each year, with our recipe for the method."""
    rows = [
        [
            str(each.year),
            each.team,
            each.method,
            percent(each.top5),
            percent(each.own_data),
            f"`{RECIPES[each.team]}`" if each.team in RECIPES else ABSENT,
            each.source,
        ]
        for each in WINNERS
    ]
    columns = (
        *("year", "team", "method", "top-5 error % (test)", "without outside data %", "our recipe"),
        "source",
    )
    return Table(columns, rows, numeric=frozenset(columns[3:5]))


def bounds(results: Path) -> Table:
    """The highest response of a map that is active alone: by the formula, and measured with our layer."""
    activities = np.linspace(0, 2000, 20_001)
    rows: list[list[str]] = []
    for name, n, norm in (
        ("paper's formula", 5, LocalResponseNorm(alpha_convention="sum")),
        ("paper's formula", 2, LocalResponseNorm(2, alpha_convention="sum")),
        ("as run in 2012", 5, LocalResponseNorm()),
        ("as run in 2012", 2, LocalResponseNorm(2)),
    ):
        found, measured = peak(norm.params), responses_alone(norm, activities)
        rows.append(
            [
                *(name, str(n), str(norm.params.size), f"{norm.params.alpha:.3g}"),
                *(f"{found.activity:.1f}", f"{found.response:.2f}"),
                *(f"{activities[measured.argmax()]:.1f}", f"{measured.max():.2f}"),
            ]
        )
    columns = (
        *("formula", "n", "maps in a window", "factor of the squares"),
        *("activity at the peak, formula", "peak, formula", "activity at the peak, our layer"),
        "peak, our layer",
    )
    return Table(columns, rows, numeric=frozenset(columns[1:]))


def vgg_normalization(results: Path) -> Table:
    """VGG's A without and with response normalization: published errors and sizes, and ours."""
    rows: list[list[str]] = []
    for net, recipe in VGG_RECIPES.items():
        (row,) = [each for each in rows_of(recipe) if each.source.endswith("table 3")]
        with torch.device("meta"):
            model = build_run(recipes.get(recipe), CLASSES)
        counted = sum(each.numel() for each in model.parameters())
        rows.append(
            [
                *(f"VGG {net}", f"`{recipe}`", percent(row.top1), percent(row.top5)),
                *(f"{vgg.MILLIONS_OF_PARAMETERS[net]}", f"{counted / 1e6:.1f}", row.source),
            ]
        )
    columns = (
        *("network", "our recipe", "published: top-1 error %", "published: top-5 error %"),
        *("published: million parameters", "ours: million parameters", "source"),
    )
    return Table(columns, rows, numeric=frozenset(columns[2:6]))


def masks(results: Path) -> Table:
    """Errors of the mean of random masks, and of all units, scaled."""
    found = read_model_averaging(results / FOLDER)
    columns = ("masks averaged", "top-1 error %", "negative log-likelihood", "distance from scaled units")
    numeric = frozenset(columns)
    if found is None:
        return Table(columns, [(NOT_RECORDED, *[ABSENT] * 3)], numeric=numeric)
    counts = [count for count in SHOWN_MASKS if count <= len(found.errors[0])]
    rows = [
        [
            str(count),
            percent(float(np.mean([curve[count - 1] for curve in found.errors]))),
            f"{np.mean([curve[count - 1] for curve in found.nll]):.4f}",
            f"{np.mean([curve[count - 1] for curve in found.distances]):.4f}",
        ]
        for count in counts
    ]
    rows.append(["none: all units, scaled", percent(found.scaled_error), f"{found.scaled_nll:.4f}", ABSENT])
    notes = [
        f"{found.recipe} on {found.photos:,} photos of {found.store} {found.split}, dropout of "
        f"{found.probability:g} after {' and '.join(found.layers)}; means over {len(found.seeds)} seeds of "
        "the masks, one model. Distance: total variation, 0 to 1."
    ]
    return Table(columns, rows, numeric=numeric, notes=notes)


def response_norm_picture(results: Path) -> tuple[Figure, str]:
    """The bound and the inhibition of response normalization."""
    return lecture.response_norm()


def contest_picture(results: Path) -> tuple[Figure, str]:
    """ILSVRC's lowest errors by year."""
    return lecture.contest()


def masks_picture(results: Path) -> tuple[Figure, str]:
    """Dropout as model averaging, as recorded."""
    found = read_model_averaging(results / FOLDER)
    if found is None:
        return Figure(figsize=(6, 1)), f"Dropout as model averaging: {NOT_RECORDED}."
    return lecture.model_averaging(found)
