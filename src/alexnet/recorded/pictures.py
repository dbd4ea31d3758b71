"""The pictures of trained runs: curves, first-layer filters, and images with what a net says about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alexnet.data.pixels import read_square
from alexnet.data.store import Store
from alexnet.evaluation.classifier import load
from alexnet.figures.confusions import PHOTOS_PER_PAIR, draw_confusions
from alexnet.figures.curves import draw_curves
from alexnet.figures.filters import draw_filters
from alexnet.figures.mistakes import draw_mistakes
from alexnet.figures.predictions import choose, draw_predictions
from alexnet.figures.save import save
from alexnet.figures.words import about
from alexnet.models.alexnet import AlexNet
from alexnet.recorded.box_pictures import draw_detected_of, draw_localized_of
from alexnet.runs import predictions
from alexnet.runs.evaluations import read_evaluations
from alexnet.runs.metrics_log import read_metrics

IMAGES = 8
"""In a picture of answers."""
CONFUSIONS = 10
"""In a picture of confusions."""
TESTED = ("val", "centre")
"""What pictures of mistakes are of."""


def draw(run: Path, store: Path, picture: Path) -> Path:
    """The picture that the file's name says, one of `PICTURES`; returns the path it was given."""
    return PICTURES[picture.name](run, store, picture)


def draw_curves_of(runs: Sequence[Path], picture: Path) -> Path:
    """Training loss and validation error of the runs; returns the path it was given."""
    logs = {run.name: read_metrics(run / "metrics.jsonl") for run in runs}
    return save(draw_curves(logs, ", ".join(logs)), picture)


def draw_filters_of(run: Path, picture: Path) -> Path:
    """The kernels of a run's first layer, its towers apart."""
    model = load(run, device="cpu").model
    towers = model.variant.towers if isinstance(model, AlexNet) else 1
    weights = model.get_parameter("conv1.weight").detach().numpy()
    return save(draw_filters(weights, towers, run.name), picture)


def draw_answers_of(run: Path, store: Path, picture: Path) -> Path:
    """Some of the store's validation images, evenly through the classes, with the run's best answers."""
    classifier, opened = load(run), Store.open(store)
    split = opened.split("val")
    indices = np.linspace(0, len(split) - 1, IMAGES).astype(int).tolist()
    squares = squares_of(opened, indices)
    names = [opened.classes[int(split.labels[index])].name for index in indices]
    answers = classifier.classify(list(squares))
    top = [[(name, probability) for _, name, probability in each] for each in answers]
    title = about(run.name, f"{opened.path.name} val", len(split))
    return save(draw_predictions(list(squares), names, top, title), picture)


def draw_examples_of(run: Path, store: Path, picture: Path) -> Path:
    """Validation images that the tested run named rightly, almost, and wrongly, with its best answers."""
    made, opened = predictions.load(predictions.path_of(run, *TESTED)), Store.open(store)
    chosen = choose(made.probabilities, made.labels)
    top = [_best_answers(made.probabilities[number], made.names) for number in chosen]
    names = made.names[made.labels[chosen]].tolist()
    title = about(run.name, f"{opened.path.name} val", len(made.labels))
    return save(draw_predictions(list(squares_of(opened, chosen.tolist())), names, top, title), picture)


def draw_misread_of(run: Path, store: Path, picture: Path) -> Path:
    """Every validation image whose most probable class is wrong, by what it is and what was said."""
    made, opened = predictions.load(predictions.path_of(run, *TESTED)), Store.open(store)
    said = made.probabilities.argmax(1)
    wrong = np.flatnonzero(said != made.labels)
    wrong = wrong[np.lexsort((said[wrong], made.labels[wrong]))]
    true_names, answers = (made.names[labels[wrong]].tolist() for labels in (made.labels, said))
    return save(draw_mistakes(list(squares_of(opened, wrong.tolist())), true_names, answers), picture)


def draw_confusions_of(run: Path, store: Path, picture: Path) -> Path:
    """The pairs of classes that are taken for each other most often."""
    entry = next(each for each in read_evaluations(run) if (each["split"], each["views"]) == TESTED)
    names = {each["wnid"]: each["name"] for each in entry["per_class"]}
    shown = entry["confusions"][:CONFUSIONS]
    pairs = [(names[each["true"]], names[each["predicted"]], each["images"]) for each in shown]
    made, opened = predictions.load(predictions.path_of(run, *TESTED)), Store.open(store)
    said = made.classes[made.probabilities.argmax(1)]
    examples: list[list[npt.NDArray[np.uint8]]] = []
    for each in shown:
        confused = (made.classes[made.labels] == each["true"]) & (said == each["predicted"])
        examples.append(list(squares_of(opened, np.flatnonzero(confused)[:PHOTOS_PER_PAIR].tolist())))
    title = about(run.name, f"{opened.path.name} val", entry["images"])
    return save(draw_confusions(pairs, entry["images"], title, examples), picture)


PICTURES: dict[str, Callable[[Path, Path, Path], Path]] = {
    "curves.png": lambda run, store, picture: draw_curves_of([run], picture),
    "filters.png": lambda run, store, picture: draw_filters_of(run, picture),
    "misread.png": draw_misread_of,
    "confusions.png": draw_confusions_of,
    "hits-and-misses.png": draw_localized_of,
    "objects.png": draw_detected_of,
}
"""How a picture of a run and its store is drawn, by the name of its file."""


def _best_answers(
    probabilities: npt.NDArray[np.floating], names: npt.NDArray[np.str_], count: int = 5
) -> list[tuple[str, float]]:
    best = np.argsort(-probabilities, kind="stable")[:count]
    return [(str(names[label]), float(probabilities[label])) for label in best]


def squares_of(store: Store, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
    """(N, side, side, C) of the validation images with these numbers."""
    squares = np.empty((len(indices), store.side, store.side, store.channels), np.uint8)
    for index, square in zip(indices, squares, strict=True):
        read_square(store.split("val"), index, square)
    return squares
