"""The pictures that are kept with a recorded run, by the names of their files.

None shows a photo: those of data sets have terms of their own, and `alexnet report --figures` draws them
where the data is. Digits are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from alexnet.data.store import Store
from alexnet.report.plots.output import save
from alexnet.report.sections import evaluation
from alexnet.report.sections.subjects import SPLIT, Drawn, OpenModel
from alexnet.runs import predictions
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import read_results

TESTED = (SPLIT, "center")
"""What pictures of mistakes are of."""


def draw(run: Path, store: Path, picture: Path) -> Path:
    """The picture that the file's name says, one of `PICTURES`; returns the path it was given."""
    return save(PICTURES[picture.name](OpenModel(run, Store.open(store))).figure, picture)


def _filters(on: OpenModel) -> Drawn:
    return evaluation.filters(on.name, on.classifier, f"{on.store.path.name} train", on.training_images)


def _confusions(on: OpenModel) -> Drawn:
    entries = read_results(on.path)
    entry = next(each for each in entries if (each.split, str(each.views)) == TESTED)
    if on.store.channels == 1:
        return evaluation.confusions(on.name, entry, on, _made(on))
    return evaluation.confusions(on.name, entry)


def _made(on: OpenModel) -> Predictions:
    return predictions.load(predictions.path_of(on.path, *TESTED))


PICTURES: dict[str, Callable[[OpenModel], Drawn]] = {
    "curves.png": lambda on: evaluation.curves([on.path]),
    "filters.png": _filters,
    "misread.png": lambda on: evaluation.mistakes(on, _made(on)),
    "confusions.png": _confusions,
}
"""How a picture of a run and its store is drawn, by the name of its file."""
