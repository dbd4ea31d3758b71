"""`alexnet.load`: a trained model that predicts for any photo, whatever it was trained to predict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from alexnet.config import RunConfig
from alexnet.data.classes import Class, check_same_classes
from alexnet.data.crops import center
from alexnet.data.decode import Pixels, UnreadableImage, in_channels
from alexnet.data.photos import Photo, list_photos, pixels_of
from alexnet.data.preprocessing import Preprocessing, to_stored_square
from alexnet.errors import AlexNetError, CommandError, MissingPackage
from alexnet.evaluation.inference import (
    BATCH_SIZE,
    device_of,
    group_by_size,
    images_per_pass,
    testing,
)
from alexnet.evaluation.views import ScaledView, parse_views, rendered_sizes, scaled_views, with_default
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import last_hidden_layer
from alexnet.runs.calibration import Calibration, read_calibration
from alexnet.runs.provenance import Provenance
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir, find_weights, members_of
from alexnet.tasks.base import BoxPrediction, Prediction, Task, task_of
from alexnet.tasks.classification import Classification
from alexnet.text import counted, first_few

if TYPE_CHECKING:
    import pandas


def rendered(pixels: Pixels, preprocessing: Preprocessing, scaled: Sequence[ScaledView]) -> list[Pixels]:
    """The pixels (H, W, C) of each view of a photo, at its scale.

    If the model's training photos were warped or padded instead of cropped, the photo is first made such a
    square.
    """
    resized = preprocessing.resized
    cropped = resized["resize"] == "crop"
    channels = preprocessing.data.channels
    photo = in_channels(pixels, channels) if cropped else to_stored_square(pixels, preprocessing)
    return [each.render(photo, resized["resampling"]) for each in scaled]


_Item = TypeVar("_Item")
_Row = TypeVar("_Row")
_Rendered: TypeAlias = tuple[list[Pixels], tuple[int, int]] | AlexNetError
"""The pixels (H, W, C) of each view of a photo and its size (height, width), or why it cannot be read."""


class Predictor:
    """A trained model with all it needs to predict for photos: preprocessing, class names and its task.

    Photos are paths, folders, http(s) addresses, files' bytes, PIL images, uint8 arrays (H, W, 3) or uint8
    tensors (H, W, 3) or (3, H, W), in RGB, or gray with one channel for three or as (H, W), and of any size;
    each is resized as the model's training photos were. A folder stands for all photos below it, sorted. Up
    to rounding, a prediction does not depend on the other photos of a call.
    """

    def __init__(self, bundle: ModelBundle, batch_size: int = BATCH_SIZE) -> None:
        """`batch_size`: largest number of crops (photos x views) in one pass; it bounds the memory."""
        self._bundle = bundle
        self._batch_size = batch_size
        self.calibration = bundle.calibration
        """Applied to probabilities of the views that it was made with."""

    def __repr__(self) -> str:
        """`Predictor(alexnet-modern: 3 classes (cat, dog, owl), input 112 x 112 RGB, on cpu)`."""
        return f"Predictor({self._described()})"

    def _described(self) -> str:
        classes = counted(len(self.classes), "class")
        named, preprocessing = first_few([each.name for each in self.classes], 3), self.preprocessing
        size = f"{preprocessing.crop} x {preprocessing.crop} {preprocessing.channels}"
        return f"{self.config.recipe}: {classes} ({named}), input {size}, on {self.device}"

    @property
    def members(self) -> tuple[Predictor, ...]:
        """The predictors whose probabilities are averaged: itself, or those of an ensemble."""
        return (self,)

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return device_of(self.model)

    @property
    def bundle(self) -> ModelBundle:
        """Everything that was loaded."""
        return self._bundle

    @property
    def model(self) -> torch.nn.Module:
        """The model itself, in evaluation mode."""
        return self._bundle.model

    @property
    def classes(self) -> list[Class]:
        """The model's classes, in label order."""
        return self._bundle.classes

    @property
    def config(self) -> RunConfig:
        """The configuration of the run that trained it."""
        return self._bundle.config

    @property
    def preprocessing(self) -> Preprocessing:
        """How stored squares become the model's input."""
        return self._bundle.preprocessing

    @property
    def terms(self) -> dict[str, str]:
        """Licenses of code and weights, and the terms of the data."""
        return self._bundle.terms

    @property
    def provenance(self) -> Provenance | None:
        """The run that trained it, and its measured errors; None if it is not from an exported file."""
        return self._bundle.provenance

    @cached_property
    def task(self) -> Task[Any, Any, Any]:
        """What the model was trained to predict."""
        return task_of(self.config, len(self.classes))

    @property
    def predicts_boxes(self) -> bool:
        """Whether predictions are `BoxPrediction`s; else they are `ClassPrediction`s."""
        return self.task.info.predicts_boxes

    @property
    def default_views(self) -> ViewSet:
        """The views of photos if none are named: those of the calibration, else those of the task."""
        return self._default_views(self.task)

    def predict(
        self,
        photos: Photo | Sequence[Photo],
        views: str | ViewSet = "",
        top: int | None = None,
        min_score: float | None = None,
    ) -> list[list[Prediction]]:
        """The predictions for each photo, the best first (ties in label order).

        A classifier predicts classes with probabilities, a localizer classes with a box each, a detector all
        objects with their boxes, in pixels of the photo. `views` as for `probabilities`; by default those of
        the task. `top` is the largest number of predictions per photo, by default five, or all for a
        detector. `min_score` is the minimum probability of a detector's object at a window whose box is used;
        a classifier predicts nothing for a photo whose most probable class has a lower probability.

        UnreadableImage for a file without a photo; CommandError for views that do not exist or do not suit
        the model.
        """
        listed = list_photos(photos)
        return list(map(_raised, listed, self.attempt(listed, views, top, min_score)))

    def attempt(
        self,
        photos: Photo | Sequence[Photo],
        views: str | ViewSet = "",
        top: int | None = None,
        min_score: float | None = None,
    ) -> list[list[Prediction] | AlexNetError]:
        """As `predict`, with the error in place of the predictions for a photo that cannot be read."""
        chosen = self._views(views, self.task)
        task = self._task_for_photos(top, min_score).calibrated(self.calibration_for(chosen))
        task.check_photos(self._bundle, chosen)
        scaled = scaled_views(self._bundle, chosen)
        found: list[list[Prediction] | AlexNetError] = []
        for each in self._rows(task, list_photos(photos), scaled):
            if isinstance(each, AlexNetError):
                found.append(each)
            else:
                row, size = each
                found.append(task.predictions(row, self.classes, scaled, size))
        return found

    def predict_frame(
        self,
        photos: Photo | Sequence[Photo],
        views: str | ViewSet = "",
        top: int | None = None,
        min_score: float | None = None,
    ) -> pandas.DataFrame:
        """The predictions as a `pandas.DataFrame`: a row for each, and one for a photo without any.

        The columns are `photo` (its path or address, or its number from 0), `rank` (from 1), `wnid`, `name`,
        `probability` (for boxes `score`, `x0`, `y0`, `x1`, `y1` in pixels) and `error`: why a photo could not
        be read, else empty. Where there is no prediction, `rank` is 0 and its numbers are NaN.

        MissingPackage without pandas; otherwise errors as `predict`, but for photos that cannot be read.
        """
        try:
            import pandas
        except ImportError:
            raise MissingPackage("a DataFrame needs pandas: type pip install 'alexnet[pandas]'") from None
        listed = list_photos(photos)
        rows: list[dict[str, Any]] = []
        for number, (photo, found) in enumerate(
            zip(listed, self.attempt(listed, views, top, min_score), strict=True)
        ):
            error = str(found) if isinstance(found, AlexNetError) else ""
            named = {"photo": str(photo) if isinstance(photo, str | Path) else number}
            made = [] if isinstance(found, AlexNetError) else found
            for rank, prediction in enumerate(made, start=1):
                rows.append({**named, "rank": rank, **_columns(prediction), "error": ""})
            if not made:
                rows.append({**named, "rank": 0, "wnid": "", "name": "", "error": error})
        numbers = ("score", "x0", "y0", "x1", "y1") if self.predicts_boxes else ("probability",)
        return pandas.DataFrame(rows, columns=["photo", "rank", "wnid", "name", *numbers, "error"])

    def probabilities(
        self, photos: Photo | Sequence[Photo], views: str | ViewSet = ""
    ) -> npt.NDArray[np.float32]:
        """(N, K): softmax averaged over the views; rows sum to 1, columns are `classes`.

        `views` are a `ViewSet` or its text: a name of `evaluation.views.VIEWS` with the shorter sides in
        pixels to which photos are resized, such as `dense@256,288`. Without scales they are the model's own;
        without a name those that the model was calibrated for, else ten crops, or the central one for a model
        trained without mirroring. Calibrated, if the model was calibrated for these views.
        """
        listed = list_photos(photos)
        rows = list(map(_raised, listed, self.rows(listed, views)))
        made = np.stack(rows) if rows else np.empty((0, len(self.classes)), np.float32)
        calibration = self.calibration_for(views)
        return made if calibration is None else calibration.apply(made)

    def calibration_for(self, views: str | ViewSet = "") -> Calibration | None:
        """The calibration of the probabilities of these views; None if there is none for them."""
        found, chosen = self.calibration, self._views(views, self.task)
        return found if found is not None and found.views == chosen else None

    def features(self, photos: Photo | Sequence[Photo], layer: str = "") -> npt.NDArray[np.float32]:
        """(N, D) a layer's activations for the center view, flattened; by default those of the last hidden
        layer: (N, 4096) of `fc7` for AlexNet. N is 0 without photos.

        CommandError, which lists the layers, if there is no such layer, or for a model without hidden layers;
        errors as `predict` for a photo that cannot be read.
        """
        layer = layer or last_hidden_layer(self.model)
        rows = [self._features(squares, layer) for squares in self._squares(photos, self._batch_size)]
        if rows:
            return np.concatenate(rows)
        side, channels = self.preprocessing.side, self.preprocessing.data.channels
        return self._features(torch.zeros(1, side, side, channels, dtype=torch.uint8), layer)[:0]

    def _features(self, squares: Tensor, layer: str) -> npt.NDArray[np.float32]:
        """(n, D) a layer's activations for the center view of uint8 squares (n, side, side, C)."""
        positions = center(self.preprocessing.side, self.preprocessing.crop)
        with testing(self.model) as device:
            inputs = self.preprocessing.test_input(squares.to(device), positions)
            activations: dict[str, Tensor] = self.model.activations(inputs)  # pyright: ignore[reportCallIssue]
        if layer not in activations:
            raise CommandError(f"no layer {layer!r}; choose from: {', '.join(activations)}")
        return activations[layer].flatten(1).float().cpu().numpy()

    def _task_for_photos(self, top: int | None, min_score: float | None) -> Task[Any, Any, Any]:
        if top is not None and top < 1:
            raise CommandError(f"top must be at least 1, got {top}")
        if isinstance(min_score, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise CommandError(
                f"min_score must be a number from 0 to 1, got {min_score!r}: that of a calibration is "
                "predictor.calibration.min_score"
            )
        return self.task.for_photos(top, min_score)

    def _views(self, views: str | ViewSet, task: Task[Any, Any, Any]) -> ViewSet:
        return with_default(parse_views(views), self._default_views(task))

    def _default_views(self, task: Task[Any, Any, Any]) -> ViewSet:
        if self.calibration is not None:
            return self.calibration.views
        return ViewSet(task.default_views(all(each.preprocessing.data.mirror for each in self.members)))

    def rows(
        self, photos: Iterable[Photo], views: str | ViewSet = ""
    ) -> Iterator[npt.NDArray[np.float32] | AlexNetError]:
        """(K,) probabilities of each photo, not calibrated, or why it could not be read.

        Each row sums to 1; its columns are `classes`. Photos are taken from `photos` as they are needed.
        `views` as for `probabilities`; CommandError, when the first row is requested, if they do not exist or
        the model does not support them.
        """
        task = Classification(self.config, len(self.classes))
        for each in self._rows(task, photos, scaled_views(self._bundle, self._views(views, task))):
            yield each if isinstance(each, AlexNetError) else each[0]

    def _rows(
        self, task: Task[_Row, Any, Any], photos: Iterable[Photo], scaled: tuple[ScaledView, ...]
    ) -> Iterator[tuple[_Row, tuple[int, int]] | AlexNetError]:
        """A row and the size (height, width) of each photo, or why it could not be read.

        Only the photos of one pass are in memory at a time.
        """
        count, remaining = self._photos_per_pass(scaled), iter(photos)
        while read := [self._rendered(_read(photo), scaled) for photo in islice(remaining, count)]:
            yield from self._inferred(task, read, scaled)

    def _photos_per_pass(self, scaled: tuple[ScaledView, ...]) -> int:
        side, crop = self.preprocessing.side, self.preprocessing.crop
        return images_per_pass(scaled, rendered_sizes(scaled, (side, side)), crop, self._batch_size)

    def _rendered(self, read: Pixels | AlexNetError, scaled: tuple[ScaledView, ...]) -> _Rendered:
        """The views of a photo and its size, or why it has none."""
        if isinstance(read, AlexNetError):
            return read
        try:
            return rendered(read, self.preprocessing, scaled), (read.shape[0], read.shape[1])
        except AlexNetError as error:
            return error

    def _inferred(
        self, task: Task[_Row, Any, Any], read: Sequence[_Rendered], scaled: tuple[ScaledView, ...]
    ) -> list[tuple[_Row, tuple[int, int]] | AlexNetError]:
        found: dict[int, tuple[_Row, tuple[int, int]] | AlexNetError] = {}
        items: list[tuple[tuple[tuple[int, int], ...], tuple[int, list[Pixels], tuple[int, int]]]] = []
        for number, each in enumerate(read):
            if isinstance(each, AlexNetError):
                found[number] = each
            else:
                sizes = tuple((image.shape[0], image.shape[1]) for image in each[0])
                items.append((sizes, (number, *each)))
        batch_size = self._batch_size if task.batches_photos else 1
        for group in group_by_size(items, scaled, self.preprocessing.crop, batch_size):
            views = zip(*(images for _, images, _ in group), strict=True)
            rows = task.infer(self._bundle, scaled, [torch.from_numpy(np.stack(each)) for each in views])
            for (number, _, size), row in zip(group, rows, strict=True):
                found[number] = row, size
        return [found[number] for number in range(len(read))]

    @staticmethod
    def _read_pixels(photo: Photo) -> Pixels:
        try:
            return pixels_of(photo)
        except UnreadableImage as error:
            return _raised(photo, error)

    def _squares(self, photos: Photo | Sequence[Photo], count: int) -> Iterator[Tensor]:
        """uint8 (n, side, side, C), n at most `count`."""
        listed = list_photos(photos)
        for start in range(0, len(listed), count):
            read = [self._read_pixels(photo) for photo in listed[start : start + count]]
            squares = [to_stored_square(pixels, self.preprocessing) for pixels in read]
            yield torch.from_numpy(np.stack(squares))


class EnsemblePredictor(Predictor):
    """Classifiers of the same classes: the mean of their probabilities, of all with the same views.

    What else a `Predictor` has, such as features, is that of the first of them.
    """

    def __init__(self, members: Sequence[Predictor], calibration: Calibration | None = None) -> None:
        """`calibration` is that of the mean; those of the members are not applied.

        CommandError if one of them predicts boxes, which have no mean; DataError for different classes."""
        super().__init__(replace(members[0].bundle, calibration=calibration), members[0]._batch_size)
        for member in members:
            if member.predicts_boxes:
                raise CommandError(
                    f"{member.config.recipe} predicts boxes, which have no mean: use one model"
                )
            check_same_classes(members[0].classes, member.classes, "classes of the models")
        self._members = tuple(members)

    @property
    def members(self) -> tuple[Predictor, ...]:
        """See `Predictor.members`."""
        return self._members

    def __repr__(self) -> str:
        """`EnsemblePredictor(3 models, the first alexnet-2012: 3 classes (cat, dog, owl), ...)`."""
        return f"EnsemblePredictor({len(self.members)} models, the first {self._described()})"

    def attempt(
        self,
        photos: Photo | Sequence[Photo],
        views: str | ViewSet = "",
        top: int | None = None,
        min_score: float | None = None,
    ) -> list[list[Prediction] | AlexNetError]:
        """As `Predictor.attempt`."""
        task = self._task_for_photos(top, min_score).calibrated(self.calibration_for(views))
        return [
            each if isinstance(each, AlexNetError) else task.predictions(each, self.classes, (), (0, 0))
            for each in self.rows(list_photos(photos), views)
        ]

    def rows(
        self, photos: Iterable[Photo], views: str | ViewSet = ""
    ) -> Iterator[npt.NDArray[np.float32] | AlexNetError]:
        """As `Predictor.rows`: (K,) the mean of the members' probabilities; each photo is read once.

        The error if one of the members cannot use the photo.
        """
        chosen, remaining = self._views(views, self.task), iter(photos)
        task = Classification(self.config, len(self.classes))
        tested = [(member, scaled_views(member.bundle, chosen)) for member in self.members]
        count = min(member._photos_per_pass(scaled) for member, scaled in tested)
        while read := [
            [member._rendered(pixels, scaled) for member, scaled in tested]
            for pixels in map(_read, islice(remaining, count))
        ]:
            found = [
                member._inferred(task, own, scaled)
                for (member, scaled), own in zip(tested, zip(*read, strict=True), strict=True)
            ]
            yield from map(_mean_or_error, zip(*found, strict=True))


def load(path: str | Path, device: str | torch.device = "auto", batch_size: int = BATCH_SIZE) -> Predictor:
    """The predictor of a run directory (its last checkpoint), of an ensemble, or of an exported file.

    `device` is `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` or `mps`. `batch_size` is the
    number of crops in one pass. CommandError if there is nothing to load; DataError where the file is broken,
    newer than this program, or not a model file.
    """
    members = [_load_model(each, device, batch_size) for each in members_of([Path(path)])]
    if len(members) == 1:
        return members[0]
    return EnsemblePredictor(members, read_calibration(RunDir(Path(path))))


def _load_model(path: Path, device: str | torch.device, batch_size: int) -> Predictor:
    loaded = bundle.load(find_weights(path), device)
    if path.is_dir():
        loaded = replace(loaded, calibration=read_calibration(RunDir(path)))
    return Predictor(loaded, batch_size)


def _read(photo: Photo) -> Pixels | AlexNetError:
    """The pixels (H, W, 3) of a photo, or why it cannot be read."""
    try:
        return pixels_of(photo)
    except AlexNetError as error:
        return error


def _mean_or_error(
    rows: Sequence[tuple[npt.NDArray[np.float32], tuple[int, int]] | AlexNetError],
) -> npt.NDArray[np.float32] | AlexNetError:
    """(K,) the mean of the rows of a photo, or the first error among them."""
    made: list[npt.NDArray[np.float32]] = []
    for each in rows:
        if isinstance(each, AlexNetError):
            return each
        made.append(each[0])
    return np.mean(made, axis=0)


def _columns(prediction: Prediction) -> dict[str, Any]:
    """The fields of a prediction, with the corners of its box in columns of their own."""
    values = dict(prediction._asdict())
    if isinstance(prediction, BoxPrediction):
        values |= dict(zip(("x0", "y0", "x1", "y1"), values.pop("box"), strict=True))
    return values


def _raised(photo: Photo, found: _Item | AlexNetError) -> _Item:
    """What was found for a photo; its error is raised, with the name of its file."""
    if isinstance(found, UnreadableImage) and isinstance(photo, str | Path):
        raise type(found)(f"{photo}: {found}") from found
    if isinstance(found, AlexNetError):
        raise found
    return found
