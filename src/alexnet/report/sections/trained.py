"""Pictures of how runs were trained and tested: curves, first-layer filters, errors, answers, confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from alexnet.errors import CommandError
from alexnet.evaluation.predictor import Predictor
from alexnet.models.alexnet import AlexNet
from alexnet.models.layers.lenet import PartialConv2d
from alexnet.report.comparison import Row, published_rows, recipes_of
from alexnet.report.plots.confusions import PHOTOS_PER_PAIR, draw_confusions
from alexnet.report.plots.curves import draw_curves
from alexnet.report.plots.errors import Bar, draw_errors
from alexnet.report.plots.filters import draw_filters
from alexnet.report.plots.mistakes import draw_mistakes
from alexnet.report.plots.predictions import choose, draw_predictions, verdict
from alexnet.report.plots.words import about, short
from alexnet.report.sections.opened import Drawn, Opened, told
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.predictions import Predictions
from alexnet.runs.run_dir import RunDir
from alexnet.tasks.config import task_info

IMAGES = 8
"""In a picture of answers."""
CONFUSIONS = 10
"""In a picture of confusions."""


def curves(runs: Sequence[Path]) -> Drawn:
    """Training loss and validation error of the runs over their epochs."""
    names = unlike_names(runs)
    logs = {name: read_metrics(run / "metrics.jsonl") for name, run in zip(names, runs, strict=True)}
    tested = {name: [each for each in log if each["event"] == "validation"] for name, log in logs.items()}
    stores = dict.fromkeys(RunDir(run).environment().get("store", "") for run in runs)
    images = max((each.get("images", 0) for log in tested.values() for each in log), default=0)
    title = about(_together(list(logs)), f"{', '.join(filter(None, stores)) or 'its store'} val", images)
    kinds = {
        name: task_info(RunDir(run).config().training.loss).logged
        for name, run in zip(names, runs, strict=True)
    }
    ends = "; ".join(
        f"{name}: {kinds[name].validation} {log[0]['top1_error']:.1%} at first, "
        f"{log[-1]['top1_error']:.1%} at last"
        for name, log in tested.items()
        if log
    )
    seen = f"Training loss, and training and validation error, over epochs. Validation error: {ends}."
    return Drawn(draw_curves(logs, title, kinds), seen)


def filters(name: str, classifier: Predictor, data: str, images: int | None) -> Drawn:
    """The kernels of a net's first layer, its towers apart; `images` as it was trained on, if it is known.

    CommandError where it has none that look at pixels, as classic pipelines.
    """
    model = classifier.model
    layer, weights = _first_kernels(model)
    if weights.shape[1] != classifier.preprocessing.data.channels:
        raise CommandError("its first kernels do not look at pixels")
    towers = model.architecture.towers if isinstance(model, AlexNet) else 1
    count, channels, height, width = weights.shape
    apart = f" in {towers} groups of {count // towers}" if towers > 1 else ""
    seen = f"The {count} first-layer kernels of {height} by {width} pixels and {channels} channels{apart}."
    return Drawn(draw_filters(weights, towers, about(name, data, images), layer), seen)


def _first_kernels(model: nn.Module) -> tuple[str, npt.NDArray[np.float32]]:
    """The name of the first layer with kernels, and these (F, C, H, W)."""
    for name, module in model.named_modules():
        weight = module.kernels() if isinstance(module, PartialConv2d) else getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim == 4:
            return name, weight.detach().float().cpu().numpy()
    raise CommandError("it has no kernels of a first layer")


def errors(ours: Sequence[Row]) -> Drawn:
    """Top-1 errors with their intervals, below what was published on the same systems."""
    theirs = [row for row in published_rows(recipes_of(ours)) if row.top1_error is not None]
    tests = [_test(row) for row in ours]
    bars = [
        Bar(
            name=_test(row) if tests.count(_test(row)) < 2 else f"{_test(row)}: {_run(row)}",
            error=row.top1_error,
            interval=(row.top1_interval[0], row.top1_interval[1]) if row.top1_interval else None,
            published=row.published,
        )
        for row in (*theirs, *ours)
        if row.top1_error is not None
    ]
    images = max((row.images or 0 for row in ours), default=0)
    names = list(dict.fromkeys(map(_run, ours)))
    said = "; ".join(f"{bar.name}: {bar.error:.1%}" for bar in bars if not bar.published)
    seen = f"Bars of top-1 errors, {len(theirs)} published and {len(bars) - len(theirs)} of our runs. {said}."
    return Drawn(draw_errors(bars, about=about(_together(names), ours[0].data, images) if ours else ""), seen)


def _test(row: Row) -> str:
    """What was tested, on what and how."""
    return f"{row.system}, {row.data}, {row.views or 'views not told'}"


def _run(row: Row) -> str:
    return row.source.partition(",")[0]


def answers(on: Opened) -> Drawn:
    """Some of the validation images, evenly through the split, with the run's best answers."""
    numbers = np.linspace(0, len(on.photos) - 1, IMAGES).astype(int).tolist()
    squares, names = on.squares(numbers), on.names(numbers)
    class_names = np.array([each.name for each in on.classifier.classes])
    top = [_best_answers(row, class_names) for row in on.classifier.probabilities(list(squares))]
    title = about(on.name, on.data, len(on.photos))
    seen = f"{len(numbers)} photos with bars of the most probable classes. {told(names, top)}."
    return Drawn(draw_predictions(list(squares), names, top, title), seen)


def examples(on: Opened, made: Predictions) -> Drawn:
    """Validation images that were named rightly, almost, and wrongly, with the best answers."""
    chosen = choose(made.probabilities, made.labels)
    top = [_best_answers(made.probabilities[number], made.names) for number in chosen]
    names: list[str] = made.names[made.labels[chosen]].tolist()
    verdicts = [verdict(name, [said for said, _ in each]) for name, each in zip(names, top, strict=True)]
    title = about(on.name, on.data, len(made.labels))
    seen = (
        f"{len(chosen)} photos with bars of the most probable classes, {verdicts.count('right')} of them "
        f"right. {told(names, top)}."
    )
    return Drawn(draw_predictions(list(on.squares(chosen.tolist())), names, top, title), seen)


def misread(on: Opened, made: Predictions) -> Drawn:
    """Every validation image whose most probable class is wrong, by what it is and what was said."""
    said = made.probabilities.argmax(1)
    wrong = np.flatnonzero(said != made.labels)
    wrong = wrong[np.lexsort((said[wrong], made.labels[wrong]))]
    true_names, said_names = (made.names[labels[wrong]].tolist() for labels in (made.labels, said))
    seen = (
        f"The {len(wrong):,} of {len(said):,} images that were misread, each with what it is and what was "
        "said."
    )
    title = about(on.name, on.data, len(said))
    return Drawn(draw_mistakes(list(on.squares(wrong.tolist())), true_names, said_names, title), seen)


def confusions(
    name: str, entry: Mapping[str, Any], on: Opened | None = None, made: Predictions | None = None
) -> Drawn:
    """The pairs that an evaluation found confused most often, with photos where these are given."""
    names = {each["wnid"]: each["name"] for each in entry["per_class"]}
    shown = entry["confusions"][:CONFUSIONS]
    pairs = [(names[each["true"]], names[each["predicted"]], each["images"]) for each in shown]
    photos: list[list[npt.NDArray[np.uint8]]] = []
    if on is not None and made is not None:
        said = made.classes[made.probabilities.argmax(1)]
        for each in shown:
            confused = (made.classes[made.labels] == each["true"]) & (said == each["predicted"])
            photos.append(list(on.squares(np.flatnonzero(confused)[:PHOTOS_PER_PAIR].tolist())))
    title = about(name, f"{entry['store']} {entry['split']}", entry["images"])
    listed = "; ".join(f"{short(true)} taken for {short(wrong)}: {count}" for true, wrong, count in pairs)
    with_photos = ", with photos that were confused" if photos else ""
    seen = f"Bars of the pairs that are confused most often{with_photos}. {listed or 'Nothing was confused'}."
    return Drawn(draw_confusions(pairs, entry["images"], title, photos), seen)


def _best_answers(
    probabilities: npt.NDArray[np.floating], names: npt.NDArray[np.str_], count: int = 5
) -> list[tuple[str, float]]:
    best = np.argsort(-probabilities, kind="stable")[:count]
    return [(str(names[label]), float(probabilities[label])) for label in best]


def unlike_names(paths: Sequence[Path]) -> list[str]:
    """The names of the folders, with that of the folder around it where two are alike."""
    names = [path.resolve().name for path in paths]
    return [
        name if names.count(name) == 1 else f"{path.resolve().parent.name}/{name}"
        for name, path in zip(names, paths, strict=True)
    ]


def _together(names: Sequence[str]) -> str:
    """The names of a few runs, or how many there are."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} runs"
