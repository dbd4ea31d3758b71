"""Figures of training and evaluation: curves, first-layer filters, errors, predictions, confusions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from alexnet.errors import CommandError, WorkError
from alexnet.evaluation.calibration import cross_fitted, reliability
from alexnet.evaluation.metrics import confusion_matrix, most_confident_mistakes, predicted_labels
from alexnet.evaluation.predictor import Predictor
from alexnet.models.alexnet import AlexNet
from alexnet.models.layers.lenet import PartialConv2d
from alexnet.report.comparison import ComparisonRow, comparable_rows
from alexnet.report.evaluation_tables import data_of, names_by_wnid
from alexnet.report.plots.calibration import ReliabilityPanel, draw_reliability
from alexnet.report.plots.confusions import PHOTOS_PER_PAIR, draw_confusion_matrix, draw_confusions
from alexnet.report.plots.curves import draw_curves
from alexnet.report.plots.errors import Bar, draw_errors
from alexnet.report.plots.filters import draw_filters
from alexnet.report.plots.predictions import choose_examples, draw_mistakes, draw_predictions, verdict
from alexnet.report.plots.style import figure_title, short
from alexnet.report.sections.subjects import Drawn, OpenModel
from alexnet.runs.calibration import Calibration
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import EvalResult
from alexnet.runs.run_dir import RunDir, model_name
from alexnet.tasks.config import task_info
from alexnet.text import percentage

PREDICTIONS_SHOWN = 8
"""Number of photos in a figure of predictions."""
CONFUSIONS = 10
"""Number of pairs in a figure of confusions."""


def curves(runs: Sequence[Path]) -> Drawn:
    """Training loss, and training and validation errors, of the runs over their epochs."""
    names = distinct_names(runs)
    logs = {name: read_metrics(run / "metrics.jsonl") for name, run in zip(names, runs, strict=True)}
    validations = {
        name: [each for each in log if each["event"] == "validation"] for name, log in logs.items()
    }
    stores = dict.fromkeys(RunDir(run).environment().store for run in runs)
    counts = [each["images"] for log in validations.values() for each in log if "images" in each]
    images = max(counts, default=None)
    data = f"{', '.join(filter(None, stores)) or 'its store'} val"
    errors = {
        name: task_info(RunDir(run).config().training.loss).logged
        for name, run in zip(names, runs, strict=True)
    }
    ends = "; ".join(
        f"{name}: {errors[name].validation} {percentage(log[0]['top1_error'])} in the first validation, "
        f"{percentage(log[-1]['top1_error'])} in the last"
        for name, log in validations.items()
        if log
    )
    alt_text = f"Training loss, and training and validation error, over epochs. Validation error: {ends}."
    return Drawn(draw_curves(logs, figure_title(_joined(list(logs)), data, images), errors), alt_text)


def filters(name: str, classifier: Predictor, data: str, images: int | None) -> Drawn:
    """The kernels of a model's first layer, one panel per tower; `images` is the number it was trained on.

    CommandError if it has no kernels that are applied to pixels, such as classic pipelines.
    """
    model = classifier.model
    layer, weights = _first_kernels(model)
    if weights.shape[1] != classifier.preprocessing.data.channels:
        raise CommandError("its first kernels are not applied to pixels")
    towers = model.architecture.towers if isinstance(model, AlexNet) else 1
    count, channels, height, width = weights.shape
    groups = f" in {towers} groups of {count // towers}" if towers > 1 else ""
    alt_text = (
        f"The {count} first-layer kernels of {height} by {width} pixels and {channels} channels{groups}."
    )
    return Drawn(draw_filters(weights, towers, figure_title(name, data, images), layer), alt_text)


def _first_kernels(model: nn.Module) -> tuple[str, npt.NDArray[np.float32]]:
    """The name of the first layer with kernels, and these (F, C, H, W)."""
    for name, module in model.named_modules():
        weight = module.kernels() if isinstance(module, PartialConv2d) else getattr(module, "weight", None)
        if isinstance(weight, torch.Tensor) and weight.ndim == 4:
            return name, weight.detach().float().cpu().numpy()
    raise CommandError("it has no kernels of a first layer")


def error_bars(ours: Sequence[ComparisonRow]) -> Drawn:
    """Top-1 errors with their intervals, below published ones that can be compared with them."""
    theirs = [row for row in comparable_rows(ours) if row.top1_error is not None]
    evaluations = [_evaluation(row) for row in ours]
    bars = [
        Bar(
            name=_evaluation(row)
            if evaluations.count(_evaluation(row)) < 2
            else f"{_evaluation(row)}: {row.run}",
            error=row.top1_error,
            interval=(row.top1_interval[0], row.top1_interval[1]) if row.top1_interval else None,
            published=row.published,
        )
        for row in (*theirs, *ours)
        if row.top1_error is not None
    ]
    *others, last = dict.fromkeys((row.data, row.images) for row in ours)
    data = "".join(f"{name}, {images or 0:,} images; " for name, images in others) + last[0]
    names = list(dict.fromkeys(row.run for row in ours))
    listed = "; ".join(f"{bar.name}: {percentage(bar.error)}" for bar in bars if not bar.published)
    counts = f"{len(theirs)} published and {len(bars) - len(theirs)} of your runs"
    alt_text = f"Bars of top-1 errors, {counts}. {listed}."
    title = figure_title(_joined(names), data, last[1])
    return Drawn(draw_errors(bars, title=title), alt_text)


def _evaluation(row: ComparisonRow) -> str:
    """Description of an evaluation: system, data and, if they are known, views."""
    return ", ".join(filter(None, (row.system, row.data, row.views)))


def some_predictions(on: OpenModel) -> Drawn:
    """The most probable classes of a few validation images, evenly through the split."""
    numbers = np.linspace(0, len(on.photos) - 1, PREDICTIONS_SHOWN).astype(int).tolist()
    squares, names = on.squares(numbers), on.names(numbers)
    class_names = np.array([each.name for each in on.classifier.classes])
    top = [_most_probable(row, class_names) for row in on.classifier.probabilities(list(squares))]
    title = figure_title(on.name, on.data, len(on.photos))
    alt_text = f"{len(numbers)} photos with bars of the most probable classes. {in_words(names, top)}."
    return Drawn(draw_predictions(list(squares), names, top, title), alt_text)


def examples(on: OpenModel, made: Predictions) -> Drawn:
    """Validation images of each kind of `choose_examples`, with their most probable classes."""
    chosen = choose_examples(made.probabilities, made.labels)
    top = [_most_probable(made.probabilities[number], made.names) for number in chosen]
    names: list[str] = made.names[made.labels[chosen]].tolist()
    verdicts = [verdict(name, [best for best, _ in each]) for name, each in zip(names, top, strict=True)]
    title = figure_title(on.name, on.data, len(made.labels))
    alt_text = (
        f"{len(chosen)} photos with bars of the most probable classes, {verdicts.count('correct')} of them "
        f"correct. {in_words(names, top)}."
    )
    return Drawn(draw_predictions(list(on.squares(chosen.tolist())), names, top, title), alt_text)


def mistakes(on: OpenModel, made: Predictions) -> Drawn:
    """Every misclassified validation image, sorted by its true and its predicted class."""
    predicted = predicted_labels(made.probabilities, made.labels)
    wrong = np.flatnonzero(predicted != made.labels)
    wrong = wrong[np.lexsort((predicted[wrong], made.labels[wrong]))]
    true_names, wrong_names = (made.names[labels[wrong]].tolist() for labels in (made.labels, predicted))
    alt_text = (
        f"The {len(wrong):,} misclassified images of {len(predicted):,}, each with its true and its "
        "predicted class."
    )
    title = figure_title(on.name, on.data, len(predicted))
    figure = draw_mistakes(list(on.squares(wrong.tolist())), true_names, wrong_names, title)
    return Drawn(figure, alt_text)


def confident_mistakes(on: OpenModel, made: Predictions) -> Drawn:
    """The misclassified validation images whose wrong class has the highest probability."""
    chosen = most_confident_mistakes(made, PREDICTIONS_SHOWN)
    if not chosen:
        raise WorkError("no photo was misclassified")
    top = [_most_probable(made.probabilities[number], made.names) for number in chosen]
    names: list[str] = made.names[made.labels[chosen]].tolist()
    title = f"Most confident mistakes, {figure_title(on.name, on.data, len(made.labels))}"
    alt_text = (
        f"The {len(chosen)} photos whose wrong class has the highest probability, with bars of the most "
        f"probable classes. {in_words(names, top)}."
    )
    return Drawn(draw_predictions(list(on.squares(chosen)), names, top, title), alt_text)


def whole_confusion_matrix(name: str, result: EvalResult, made: Predictions) -> Drawn:
    """The numbers of images of each true class that were predicted to be of each class."""
    counts = confusion_matrix(made)
    names: list[str] = made.names.tolist()
    listed = "; ".join(
        f"{short(each)}: {counts[label, label]:,} of {counts[label].sum():,} correct"
        for label, each in enumerate(names)
    )
    title = figure_title(name, data_of(result), result.images)
    alt_text = f"Confusion matrix: rows are true classes, columns predicted ones. {listed}."
    return Drawn(draw_confusion_matrix(counts, names, title), alt_text)


def calibration(title: str, made: Predictions, found: Calibration | None) -> Drawn:
    """Reliability diagrams of predictions, and of the same after the calibration, if there is one."""
    before = reliability(made.probabilities, made.labels)
    each = {"before" if found else "not calibrated": before}
    if found is not None:
        after = cross_fitted(made.probabilities, made.labels)
        each["after"] = reliability(after, made.labels)
    errors = {what: f"calibration error {percentage(one.calibration_error)}" for what, one in each.items()}
    panels = [ReliabilityPanel(f"{what}: {errors[what]}", *one) for what, one in each.items()]
    listed = "; ".join(f"{what}: {error}" for what, error in errors.items())
    alt_text = f"Accuracy by confidence, calibration: {listed}."
    return Drawn(draw_reliability(panels, title), alt_text)


def confusions(
    name: str, result: EvalResult, on: OpenModel | None = None, made: Predictions | None = None
) -> Drawn:
    """The most frequent confusions of an evaluation, with photos if there are predictions."""
    names, shown = names_by_wnid(result), result.confusions[:CONFUSIONS]
    pairs = [(names[each.true], names[each.predicted], each.images) for each in shown]
    photos: list[list[npt.NDArray[np.uint8]]] = []
    if on is not None and made is not None:
        predicted = made.classes[predicted_labels(made.probabilities, made.labels)]
        for each in shown:
            confused = (made.classes[made.labels] == each.true) & (predicted == each.predicted)
            photos.append(list(on.squares(np.flatnonzero(confused)[:PHOTOS_PER_PAIR].tolist())))
    title = figure_title(name, data_of(result), result.images)
    listed = "; ".join(f"{short(true)} predicted as {short(wrong)}: {count}" for true, wrong, count in pairs)
    with_photos = ", with photos" if photos else ""
    alt_text = f"Bars of the pairs that are confused most often{with_photos}. {listed or 'No confusions'}."
    return Drawn(draw_confusions(pairs, result.images, title, photos), alt_text)


def _most_probable(
    probabilities: npt.NDArray[np.floating], names: npt.NDArray[np.str_], count: int = 5
) -> list[tuple[str, float]]:
    best = np.argsort(-probabilities, kind="stable")[:count]
    return [(str(names[label]), float(probabilities[label])) for label in best]


def in_words(true_names: Iterable[str], top: Iterable[Sequence[tuple[str, float]]]) -> str:
    """Each photo with its most probable class: `tench: tench 0.93; church: parachute 0.40`."""
    pairs = zip(true_names, top, strict=True)
    return "; ".join(f"{short(true)}: {short(best[0][0])} {best[0][1]:.2f}" for true, best in pairs if best)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The names of the folders, with as many parent folders as tell equal ones apart; paths must differ."""
    names = list(map(model_name, paths))
    for path in paths:  # at most as many rounds as folders
        for depth in range(2, len(path.resolve().parts) + 1):
            if len(set(names)) == len(names):
                return names
            names = [
                name if names.count(name) == 1 else _with_parents(each, depth)
                for name, each in zip(names, paths, strict=True)
            ]
    return names


def _with_parents(path: Path, depth: int) -> str:
    return "/".join([*path.resolve().parts[-depth:-1], model_name(path)])


def _joined(names: Sequence[str]) -> str:
    """The names of a few runs, or how many there are."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} runs"
