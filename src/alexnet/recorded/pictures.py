"""The pictures that are kept with a recorded run, by the names of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alexnet.data.store import Store
from alexnet.figures.save import save
from alexnet.pictures import boxes, trained
from alexnet.pictures.opened import SPLIT, Drawn, Opened
from alexnet.runs import predictions
from alexnet.runs.evaluations import read_evaluations
from alexnet.runs.predictions import Detected, Kind, Located, Predictions

TESTED = (SPLIT, "centre")
"""What pictures of mistakes are of."""


def draw(run: Path, store: Path, picture: Path) -> Path:
    """The picture that the file's name says, one of `PICTURES`; returns the path it was given."""
    return save(PICTURES[picture.name](Opened(run, Store.open(store))).figure, picture)


def _filters(on: Opened) -> Drawn:
    return trained.filters(on.name, on.classifier, f"{on.store.path.name} train", on.training_images)


def _confusions(on: Opened) -> Drawn:
    entries = read_evaluations(on.path)
    entry = next(each for each in entries if (each["split"], each["views"]) == TESTED)
    return trained.confusions(on.name, entry, on, _made(on))


def _made(on: Opened) -> Predictions:
    return predictions.load(predictions.path_of(on.path, *TESTED))


def _boxes(on: Opened, kind: str, of: type[Kind]) -> Kind:
    """The kept boxes of the test with the longest name, that of most scales."""
    files = (on.path / "predictions").glob(f"{SPLIT}-dense*-{kind}.npz")
    return predictions.load_boxes(max(files, key=lambda path: (len(path.name), path)), of)


PICTURES: dict[str, Callable[[Opened], Drawn]] = {
    "curves.png": lambda on: trained.curves([on.path]),
    "filters.png": _filters,
    "misread.png": lambda on: trained.misread(on, _made(on)),
    "confusions.png": _confusions,
    "hits-and-misses.png": lambda on: boxes.located(on, _boxes(on, "boxes", Located)),
    "objects.png": lambda on: boxes.detected(on, _boxes(on, "objects", Detected)),
}
"""How a picture of a run and its store is drawn, by the name of its file."""
