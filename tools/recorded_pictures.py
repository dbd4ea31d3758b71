"""The pictures that are kept with a recorded run, by the names of their files.

None shows a photo: those of data sets have terms of their own, and `alexnet report --figures` draws them
where the data is. Digits are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alexnet.data.store import Store
from alexnet.report.plots.save import save
from alexnet.report.sections import trained
from alexnet.report.sections.opened import SPLIT, Drawn, Opened
from alexnet.runs import predictions
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import read_evaluations

TESTED = (SPLIT, "center")
"""What pictures of mistakes are of."""


def draw(run: Path, store: Path, picture: Path) -> Path:
    """The picture that the file's name says, one of `PICTURES`; returns the path it was given."""
    return save(PICTURES[picture.name](Opened(run, Store.open(store))).figure, picture)


def _filters(on: Opened) -> Drawn:
    return trained.filters(on.name, on.classifier, f"{on.store.path.name} train", on.training_images)


def _confusions(on: Opened) -> Drawn:
    entries = read_evaluations(on.path)
    entry = next(each for each in entries if (each["split"], each["views"]) == TESTED)
    if on.store.channels == 1:
        return trained.confusions(on.name, entry, on, _made(on))
    return trained.confusions(on.name, entry)


def _made(on: Opened) -> Predictions:
    return predictions.load(predictions.path_of(on.path, *TESTED))


PICTURES: dict[str, Callable[[Opened], Drawn]] = {
    "curves.png": lambda on: trained.curves([on.path]),
    "filters.png": _filters,
    "misread.png": lambda on: trained.misread(on, _made(on)),
    "confusions.png": _confusions,
}
"""How a picture of a run and its store is drawn, by the name of its file."""
