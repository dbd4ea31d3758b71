"""`RUN/predictions/<split>-<views>.npz`: the predictions of a model for a split, so that it need not run
again."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from alexnet import old_names
from alexnet.errors import DataError
from alexnet.io import atomic_write
from alexnet.runs.results import ViewSet


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitPredictions:
    """The predictions of one model for the N images of a split, in the store's order."""

    split: str
    views: ViewSet
    keys: npt.NDArray[np.str_]
    """(N,) the images' names in the store."""
    classes: npt.NDArray[np.str_]
    """(K,) WNIDs in label order."""
    weights_digest: str = ""
    """SHA-256 of the weights; empty for a mean of several models."""
    store_digest: str = ""

    def is_finite(self) -> bool:
        """Whether there is neither NaN nor Inf in any array."""
        arrays = (value for value in vars(self).values() if isinstance(value, np.ndarray))
        return all(bool(np.isfinite(array).all()) for array in arrays if array.dtype.kind == "f")


@dataclass(frozen=True, eq=False, kw_only=True)
class Predictions(SplitPredictions):
    """Class probabilities of one model, or the mean of several."""

    probabilities: npt.NDArray[np.float32]
    """(N, K), rows sum to 1: softmax, averaged over the views."""
    labels: npt.NDArray[np.int64]
    """(N,) the true class of each image, an index into `classes`; -1 where it is unknown."""
    names: npt.NDArray[np.str_]
    """(K,) readable names of the classes."""
    scales: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Shorter sides of the photos in the test, in pixels; empty in files of versions that did not save
    them."""
    seconds: float = 0.0
    """Duration of the test, including reading; 0 in files of versions that did not save it."""
    multiply_adds: float = 0.0
    """Multiply-adds per photo, on average; 0 if they were not counted."""
    device: str = ""
    """Name of the GPU or processor."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LocalizationPredictions(SplitPredictions):
    """One model's k best classes for each image, each with a box."""

    labels: npt.NDArray[np.int64]
    """(N, k) the best class first, an index into `classes`; -1 where there are fewer than k."""
    corners: npt.NDArray[np.float32]
    """(N, k, 4) x0, y0, x1, y1 as fractions of what was tested: the photo, or its central square."""
    scores: npt.NDArray[np.float32]
    """(N, k) sums of the class's probabilities at the windows whose boxes were merged."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectionPredictions(SplitPredictions):
    """All D objects that one model detects in the images of a split, the best first for each image."""

    images: npt.NDArray[np.int64]
    """(D,) position of the object's image among `keys`."""
    labels: npt.NDArray[np.int64]
    """(D,) an index into `classes`."""
    scores: npt.NDArray[np.float32]
    """(D,) sums of the class's probabilities at the windows whose boxes were merged."""
    corners: npt.NDArray[np.float32]
    """(D, 4) x0, y0, x1, y1 as fractions of the photo."""


_PREDICT_AGAIN = "delete it and evaluate again"
_Saved = TypeVar("_Saved", bound=SplitPredictions)


def path_of(run: Path, split: str, views: ViewSet | str, checkpoint: str = "last", suffix: str = "") -> Path:
    """The file of a run's predictions; `suffix` is that of the task. Only the checkpoint `best` is part of
    the name.
    """
    other = "" if checkpoint == "last" else f"-{checkpoint}"
    return run / "predictions" / f"{split}-{views}{suffix}{other}.npz"


def left_out_path(run: Path) -> Path:
    """The file of the training images' predictions, each by a model of the others; for pipelines whose
    classifiers are fitted by least squares.
    """
    return run / "predictions" / "left-out.npz"


def save(predictions: SplitPredictions, path: Path) -> None:
    """Writes the file atomically; WorkError if this fails."""
    values = vars(predictions) | {"views": str(predictions.views)}
    with atomic_write(path) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{name: np.asarray(value) for name, value in values.items()})


def load(path: Path) -> Predictions:
    """The class probabilities that `save` wrote; DataError if it is missing, broken or of another kind."""
    return _load(path, Predictions)


def load_fresh(path: Path, kind: type[_Saved], weights_digest: str, store_digest: str) -> _Saved | None:
    """The saved predictions of these weights for this store; None if they are others, missing or broken."""
    try:
        saved = _load(path, kind)
    except DataError:
        return None
    fresh = (saved.weights_digest, saved.store_digest) == (weights_digest, store_digest)
    return saved if fresh else None


def check_archive(path: Path) -> None:
    """DataError unless all arrays in an `.npz` file have the CRC-32 that was written with them."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} has no valid predictions ({error})", _PREDICT_AGAIN) from error
    if damaged:
        raise DataError(f"{path} has no valid predictions (CRC-32 of {damaged})", _PREDICT_AGAIN)


def _load(path: Path, kind: type[_Saved]) -> _Saved:
    path = old_names.predictions_file(path)
    if path.is_file():
        check_archive(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values: dict[str, Any] = {
                name: array.item() if array.ndim == 0 else array for name, array in arrays.items()
            }
        values["views"] = ViewSet.parse(old_names.new_views(values["views"]))
        return kind(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} has no valid predictions ({error})", _PREDICT_AGAIN) from error
