"""`RUN/predictions/<split>-<views>.npz`: all probabilities, so that no net runs twice for one number."""

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


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one model (or the mean of several) says about every image of a split, in the store's order."""

    split: str
    views: str
    """Name of the test, with the scales in it where they were given: `ten`, `dense@256,384`."""
    probabilities: npt.NDArray[np.float32]
    """(N, K), rows sum to 1: softmax, averaged over the views."""
    labels: npt.NDArray[np.int64]
    """(N,) the true class of each image, an index into `classes`; -1 where nobody told it."""
    keys: npt.NDArray[np.str_]
    """(N,) the images' names in the store."""
    classes: npt.NDArray[np.str_]
    """(K,) WNIDs in label order."""
    names: npt.NDArray[np.str_]
    """(K,) what people call the classes."""
    weights_digest: str = ""
    """sha256 of the weights that spoke; empty for a mean of several."""
    store_digest: str = ""
    """Digest of the store that was asked."""
    scales: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Shorter sides of the photos in the test, in pixels; none in files from before they were kept."""
    seconds: float = 0.0
    """That the test took, reading included; 0 in files from before it was kept."""
    multiply_adds: float = 0.0
    """Of one photo on average; 0 where it was not counted."""
    device: str = ""
    """What it ran on: a GPU's name or the processor's."""


def path_of(run: Path, split: str, views: str, checkpoint: str = "last") -> Path:
    """Where the predictions of a run lie; those of another checkpoint than the last say so in their name."""
    other = "" if checkpoint == "last" else f"-{checkpoint}"
    return run / "predictions" / f"{split}-{views}{other}.npz"


@dataclass(frozen=True, eq=False)
class Located:
    """Where one model says objects are, in every image of a split: k classes with a box each."""

    split: str
    views: str
    labels: npt.NDArray[np.int64]
    """(N, k) the surest class first, an index into `classes`; -1 where there are fewer than k."""
    corners: npt.NDArray[np.float32]
    """(N, k, 4) x0, y0, x1, y1 in shares of what was seen: the picture, or its central square."""
    scores: npt.NDArray[np.float32]
    """(N, k) the sums of the class's probabilities where the windows were whose boxes were merged."""
    keys: npt.NDArray[np.str_]
    """(N,) the images' names in the store."""
    classes: npt.NDArray[np.str_]
    """(K,) WNIDs in label order."""
    weights_digest: str = ""
    """sha256 of the weights that spoke."""
    store_digest: str = ""
    """Digest of the store that was asked."""


@dataclass(frozen=True, eq=False)
class Detected:
    """All objects that one model found in the images of a split: D boxes, an image's surest first."""

    split: str
    views: str
    images: npt.NDArray[np.int64]
    """(D,) the place of each one's image among `keys`."""
    labels: npt.NDArray[np.int64]
    """(D,) an index into `classes`."""
    scores: npt.NDArray[np.float32]
    """(D,) the sums of the class's probabilities where the windows were whose boxes were merged."""
    corners: npt.NDArray[np.float32]
    """(D, 4) x0, y0, x1, y1 in shares of the picture."""
    keys: npt.NDArray[np.str_]
    """(N,) the images' names in the store."""
    classes: npt.NDArray[np.str_]
    """(K,) WNIDs in label order."""
    weights_digest: str = ""
    """sha256 of the weights that spoke."""
    store_digest: str = ""
    """Digest of the store that was asked."""


Kind = TypeVar("Kind", Predictions, Located, Detected)


def save(predictions: Predictions | Located | Detected, path: Path) -> None:
    """Writes the file whole or not at all; WorkError where the disk refuses."""
    arrays = {name: np.asarray(value) for name, value in vars(predictions).items()}
    with atomic_write(path) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def load(path: Path) -> Predictions:
    """What `save` wrote; DataError where the file is missing, broken or not predictions."""
    return _load(path, Predictions)


def load_fresh(path: Path, kind: type[Kind], weights_digest: str, store_digest: str) -> Kind | None:
    """The saved answers if these weights gave them of this store; else, or if broken, None."""
    try:
        saved = _load(path, kind)
    except DataError:
        return None
    fresh = (saved.weights_digest, saved.store_digest) == (weights_digest, store_digest)
    return saved if fresh else None


def _load(path: Path, kind: type[Kind]) -> Kind:
    try:
        with np.load(old_names.predictions_file(path), allow_pickle=False) as arrays:
            values: dict[str, Any] = {
                name: array.item() if array.ndim == 0 else array for name, array in arrays.items()
            }
        values["views"] = old_names.new_views(values["views"])
        return kind(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} holds no predictions ({error}); delete it and evaluate again") from error
