"""The pictures of a recorded run, by the names of their files.

None shows photos, since those of data sets have their own terms; `alexnet report --figures` draws them if the
data is available. Digits are shown.
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
"""Split and views of pictures of mistakes."""


def draw(run: Path, store: Path, picture: Path) -> Path:
    """Draws the picture for this file name, one of `PICTURES`; returns the path."""
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
"""Functions that draw pictures of a run with its store, by the names of their files."""
