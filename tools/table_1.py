"""The paper's table 1, and LeNet before it, beside what was recorded here on the very same photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alexnet import published
from alexnet.evaluation.metrics import paired_interval
from alexnet.report.tables import ABSENT, Table, percent, signed, with_interval
from tools.results_io import evaluations, wrong_answers

ROWS = {
    "LeNet-5": "lenet-5",
    "sparse coding": "sparse-coding",
    "SIFT + Fisher vectors": "sift-fv",
    "AlexNet": "alexnet-2012",
}
"""What the row is called in `published.alexnet.TABLE_1`, where it stands there, and our recipe."""
TEN_CLASSES = "imagenette"
_GIVEN = (("schedule", "epochs"), ("training", "precision"))
SOME_CLASSES = {
    10: "tiny-imagenet-10-classes",
    20: "tiny-imagenet-20-classes",
    30: "tiny-imagenet-30-classes",
}
"""What the names of recorded results begin with, by the number of classes."""


def table_1(results: Path) -> Table:
    """Published errors on ILSVRC-2010; ours on Imagenette and on some classes of Tiny ImageNet."""
    columns = (
        *("system", "paper: top-1 %", "top-5 %"),
        *("ours: top-1 %, Imagenette", "more than AlexNet", "of pixels a side", "as small as AlexNet's"),
        *(f"{classes} classes, of photos of 64" for classes in SOME_CLASSES),
        "seed",
    )
    rows = [
        [
            system,
            *_published(system),
            *_ours(results, recipe),
            _pixels(results / f"{TEN_CLASSES}-{recipe}"),
            _top1(results / f"{TEN_CLASSES}-side-128-{recipe}"),
            *(_top1(results / f"{name}-{recipe}") for name in SOME_CLASSES.values()),
            _seed(results / f"{TEN_CLASSES}-{recipe}"),
        ]
        for system, recipe in ROWS.items()
    ]
    notes = (
        "Paper: ILSVRC-2010, 1,000 classes (table 1, AlexNet with ten crops). Ours: the validation photos of "
        "Imagenette's ten classes and of the first classes of Tiny ImageNet, one run each, AlexNet with ten "
        "crops, the others with whole photos. In brackets 95 % intervals; that of the difference is of the "
        "same photos answered by both. As small as AlexNet's: the same recipe on squares of 128 pixels.",
        *_sizes(results),
    )
    return Table(columns, rows, notes=notes, numeric=frozenset(columns[1:-1]))


def _sizes(results: Path) -> list[str]:
    """What AlexNet was given on the different photos, and what all see of the small ones."""
    recipe, classes = ROWS["AlexNet"], [f"{name}-{ROWS['AlexNet']}" for name in SOME_CLASSES.values()]
    made = [_config(results / name) for name in (f"{TEN_CLASSES}-{recipe}", *classes)]
    if not all(made[:2]):
        return []
    passes, precision = ([each[part][name] for each in made[:2]] for part, name in _GIVEN)
    small = next(iter(SOME_CLASSES.values()))
    seen = {system: _config(results / f"{small}-{other}") for system, other in ROWS.items()}
    of = ", ".join(
        f"{system} {config['data']['input_size']} of {config['data']['image_size']}"
        for system, config in seen.items()
        if config
    )
    return [
        f"AlexNet: at most {passes[0]} passes in {precision[0]} on Imagenette, {passes[1]} in {precision[1]} "
        "on the classes; the other systems have their recipe's own training. Of the photos of 64 pixels each "
        f"sees, enlarged or reduced: {of}."
    ]


def _published(system: str) -> list[str]:
    found = [row for row in published.alexnet.TABLE_1 if row.system == system and row.views in ("", "ten")]
    return [percent(row.top1) for row in found] + [percent(row.top5) for row in found] or 2 * [ABSENT]


def _ours(results: Path, recipe: str) -> list[str]:
    """Error on Imagenette, and how many points more than AlexNet's."""
    folder, alexnet = (results / f"{TEN_CLASSES}-{name}" for name in (recipe, ROWS["AlexNet"]))
    mine, theirs = (wrong_answers(each, _views(each)) for each in (folder, alexnet))
    more = ABSENT
    if folder != alexnet and mine is not None and theirs is not None:
        more = signed(float(mine.mean() - theirs.mean()), paired_interval(mine, theirs))
    return [_top1(folder), more]


def _top1(folder: Path) -> str:
    entry = evaluations(folder).get(_views(folder))
    return with_interval(entry["top1_error"], entry["top1_interval"]) if entry else ABSENT


def _views(folder: Path) -> str:
    """Ten crops where it was tested with them."""
    return "ten" if "ten" in evaluations(folder) else "center"


def _pixels(folder: Path) -> str:
    """What it sees of the stored squares of Imagenette, which are its publisher's 224 or smaller."""
    config = _config(folder)
    return f"{config['data']['input_size']} of {config['data']['image_size']}" if config else ABSENT


def _config(folder: Path) -> dict[str, Any]:
    """As it was recorded; empty where it was not."""
    path = folder / "config.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _seed(folder: Path) -> str:
    entry = evaluations(folder).get("center")
    return ", ".join(str(run["seed"]) for run in entry["runs"]) if entry else ABSENT
