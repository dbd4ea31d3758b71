"""The paper's tables 1 and 2 with recorded results of the same systems."""

from __future__ import annotations

from pathlib import Path

from alexnet.published.alexnet import TABLE_1, TABLE_2
from alexnet.published.rows import TEST, VAL
from alexnet.report.evaluation_tables import TRAINING_COLUMNS, TRAINING_NOTE
from alexnet.report.tables import ABSENT, Table, percent, rate
from tools.recorded_state import stale_notes
from tools.results_io import by_views, config_of, difference, training

SYSTEMS = {
    "LeNet-5": "lenet-5",
    "sparse coding": "sparse-coding",
    "SIFT + Fisher vectors": "sift-fv",
    "AlexNet": "alexnet-2012",
}
"""The row's name in `published.alexnet.TABLE_1`, if it is there, and our recipe."""
TEN_CLASSES = "imagenette"
SOME_CLASSES = {
    10: "tiny-imagenet-10-classes",
    20: "tiny-imagenet-20-classes",
    30: "tiny-imagenet-30-classes",
}
"""First part of the names of recorded results, by the number of classes."""
TINY = max(SOME_CLASSES)
"""The number of classes of Tiny ImageNet for which the end of training is shown."""


def table_1(results: Path) -> Table:
    """Published errors on ILSVRC-2010; ours on Imagenette and on some classes of Tiny ImageNet."""
    columns = (
        *("system", "paper: top-1 %", "paper: top-5 %"),
        *("ours: top-1 %, Imagenette", "minus AlexNet (points)", "input size", "at AlexNet's input size"),
        *(f"{classes} classes of Tiny ImageNet" for classes in SOME_CLASSES),
        *(f"{what}, Imagenette" for what in TRAINING_COLUMNS),
        *(f"{what}, {TINY} classes" for what in TRAINING_COLUMNS),
        "seed",
    )
    rows = [
        [
            system,
            *_published(system),
            *_ours(results, recipe),
            _input_size(results / f"{TEN_CLASSES}-{recipe}"),
            _top1(results / f"{TEN_CLASSES}-side-128-{recipe}"),
            *(_top1(results / f"{name}-{recipe}") for name in SOME_CLASSES.values()),
            *training(results / f"{TEN_CLASSES}-{recipe}"),
            *training(results / f"{SOME_CLASSES[TINY]}-{recipe}"),
            _seed(results / f"{TEN_CLASSES}-{recipe}"),
        ]
        for system, recipe in SYSTEMS.items()
    ]
    notes = (
        "Paper: ILSVRC-2010, 1,000 classes (table 1, AlexNet with ten crops). Ours: validation photos of "
        "Imagenette's ten classes and of the first classes of Tiny ImageNet, one run each, AlexNet with ten "
        "crops, the others with whole photos. In parentheses: 95 % intervals; those of differences are "
        "paired over the same photos. Input size: pixels of the input, of those of the stored photos.",
        *_training(results),
        TRAINING_NOTE,
    )
    return Table(columns, rows, notes=notes, numeric=frozenset(columns[1:-1]))


def _training(results: Path) -> list[str]:
    """How AlexNet was trained on the different photos, and the input sizes of all systems for small ones."""
    recipe, small = SYSTEMS["AlexNet"], next(iter(SOME_CLASSES.values()))
    large, few = config_of(results / f"{TEN_CLASSES}-{recipe}"), config_of(results / f"{small}-{recipe}")
    if large is None or few is None:
        return []
    configs = {system: config_of(results / f"{small}-{name}") for system, name in SYSTEMS.items()}
    sizes = ", ".join(
        f"{system} {config.data.input_size} of {config.data.image_size}"
        for system, config in configs.items()
        if config
    )
    return [
        f"AlexNet was trained for at most {large.schedule.epochs} epochs in {large.training.precision} on "
        f"Imagenette, and {few.schedule.epochs} in {few.training.precision} on Tiny ImageNet; the other "
        f"systems as in their recipes. Input sizes for the photos of 64 pixels, enlarged or reduced: {sizes}."
    ]


def _published(system: str) -> list[str]:
    found = [row for row in TABLE_1 if row.system == system and row.views in ("", "ten")]
    return [percent(row.top1) for row in found] + [percent(row.top5) for row in found] or 2 * [ABSENT]


def _ours(results: Path, recipe: str) -> list[str]:
    """Error on Imagenette, and its difference from AlexNet's."""
    folder, alexnet = (results / f"{TEN_CLASSES}-{name}" for name in (recipe, SYSTEMS["AlexNet"]))
    return [_top1(folder), difference((folder, _views(folder)), (alexnet, _views(alexnet)))]


def _top1(folder: Path) -> str:
    result = by_views(folder).get(_views(folder))
    return rate(result.top1) if result else ABSENT


def _views(folder: Path) -> str:
    """Ten crops if it was evaluated with them."""
    return "ten" if "ten" in by_views(folder) else "center"


def _input_size(folder: Path) -> str:
    """Input and stored size on Imagenette, whose squares have 224 pixels or fewer."""
    config = config_of(folder)
    return f"{config.data.input_size} of {config.data.image_size}" if config else ABSENT


def _seed(folder: Path) -> str:
    result = by_views(folder).get("center")
    return ", ".join(str(run.seed) for run in result.runs) if result else ABSENT


MODELS = {
    "AlexNet": ("1 CNN", "imagenette-alexnet-2012"),
    "5 AlexNets": ("5 CNNs", "imagenette-5-cnns"),
    "AlexNet*, pre-trained": ("1 CNN*", "imagenette-alexnet-2012-star"),
    "7 AlexNets, two of them pre-trained": ("7 CNNs*", "imagenette-7-cnns-star"),
}
"""The row's name in `published.alexnet.TABLE_2`, its name in the paper, and our recorded result."""
SINGLE = MODELS["AlexNet"][1]


def table_2(results: Path) -> Table:
    """Published errors on ILSVRC-2012, ours on Imagenette, and the reduction from those of one model."""
    rows = [
        [name, *_published_2(system), *_ours_2(results / recorded, results / SINGLE)]
        for system, (name, recorded) in MODELS.items()
    ]
    columns = (
        *("model", "paper: top-1 % (val)", "paper: top-5 % (val)", "paper: top-5 % (test)"),
        *("ours: top-1 %, center crop", "ours: top-1 %, ten crops", "ours: top-5 %, ten crops"),
        *("top-1 reduction from 1 CNN (points)", *TRAINING_COLUMNS, "seeds"),
    )
    ten = by_views(results / SINGLE).get("ten")
    photos = f" ({ten.images:,} photos of {len(ten.per_class)} classes)" if ten else ""
    notes = (
        f"Paper: ILSVRC-2012, ten crops (table 2). Ours: Imagenette's validation photos{photos}. In "
        "parentheses: 95 % intervals. Reductions: ten crops, intervals paired over the same photos.",
        TRAINING_NOTE,
        *stale_notes(results, [recorded for _, recorded in MODELS.values() if (results / recorded).is_dir()]),
    )
    return Table(columns, rows, notes=notes, numeric=frozenset(columns[1:4]))


def _published_2(system: str) -> list[str]:
    found = {row.data: row for row in TABLE_2 if row.system == system}
    val, test = found[VAL], found.get(TEST)
    return [percent(val.top1), percent(val.top5), percent(test.top5 if test else None)]


def _ours_2(folder: Path, single: Path) -> list[str]:
    results = by_views(folder)
    if not results:
        return [ABSENT] * 7
    center, ten = results["center"], results["ten"]
    return [
        *(rate(center.top1), rate(ten.top1), percent(ten.top5 and ten.top5.error)),
        difference((single, "ten"), (folder, "ten")),
        *training(folder),
        ", ".join(str(run.seed) for run in ten.runs),
    ]
