"""A served model: what it predicts for an uploaded photo. No other file of the web demo runs models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import adaptive_avg_pool2d

from alexnet.analysis.neighbors import SearchSpec, SimilarImages, open_similar_images
from alexnet.analysis.saliency import grad_cam, last_maps
from alexnet.data.classes import check_same_classes, label_map
from alexnet.data.crops import center, default_views
from alexnet.data.decode import Pixels
from alexnet.data.preprocessing import enlargement, to_stored_square
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.evaluation.inference import score_crops
from alexnet.evaluation.predictor import Predictor, load
from alexnet.evaluation.views import positions_of
from alexnet.models.registry import last_hidden_layer
from alexnet.progress import ProgressBar, no_progress_bar
from alexnet.runs.provenance import Provenance, provenance, provenance_of_average, training_progress
from alexnet.runs.run_dir import RunDir, located, members_of, model_name
from alexnet.tasks.base import BoxPrediction
from alexnet.text import percentage
from alexnet.web.batcher import Batcher
from alexnet.web.photos import StorePhotos, data_url
from alexnet.web.responses import (
    ClassifiedPhoto,
    ClassProbability,
    Crop,
    ModelInfo,
    NearestImages,
    PhotoInfo,
    PredictedBox,
    PredictedBoxes,
    Saliency,
    SimilarImage,
    Square,
    ViewsName,
)
from alexnet.web.upload import UploadedPhoto, size_notes

PHOTOS_PER_PASS = 16
"""Largest number of photos in one forward pass: larger batches are hardly faster, and every client waits for
the whole batch."""
GRID = 32
"""Largest side of a saliency map that is sent: the maps are coarser before they are interpolated."""
NEIGHBORS_SHOWN = 6
"""Number of neighbors, as in the paper's figure 4."""
SIMILAR_SPLIT = "train"
_CLASSES_OF_A_CROP = 3


@dataclass(frozen=True, eq=False)
class ModelInput:
    """An uploaded photo, upright, and the stored squares made of it."""

    pixels: Pixels
    """(H, W, 3) uint8 RGB."""
    squares: tuple[Pixels, ...]
    """(side, side, C) uint8, for each of the models that are averaged, usually one."""
    info: PhotoInfo

    @property
    def square(self) -> Pixels:
        """That of the first model."""
        return self.squares[0]


@dataclass(eq=False)
class Analyses:
    """Analyses of a model besides classes; None for those that it does not support."""

    saliency: Callable[[ModelInput], Saliency] | None = None
    similar: Callable[[ModelInput], NearestImages] | None = None
    localize: Callable[[ModelInput], PredictedBoxes] | None = None

    @property
    def names(self) -> list[str]:
        """The supported analyses, by the last part of their address."""
        return [name for name, function in vars(self).items() if function is not None]


@dataclass(frozen=True)
class ModelHistory:
    """What is known about a model, as text; empty if unknown."""

    trained: str = ""
    tested: str = ""


def served_views(classifier: Predictor) -> ViewsName:
    """The model's default views, or crops where those are none that are served, such as `dense`."""
    own = classifier.default_views
    if own.name in get_args(ViewsName) and not own.scales:
        return cast(ViewsName, own.name)
    return cast(ViewsName, default_views(all(each.preprocessing.data.mirror for each in classifier.members)))


class ServedModel:
    """A model under a name, with a queue for each of its views."""

    def __init__(
        self,
        name: str,
        classifier: Predictor,
        summary: ModelHistory | None = None,
        analyses: Analyses | None = None,
    ) -> None:
        self.name, self.classifier = name, classifier
        self.default_views: ViewsName = served_views(classifier)
        self.analyses = analyses or Analyses()
        self._summary = summary or ModelHistory()
        self._batchers: dict[str, Batcher[tuple[Pixels, ...], npt.NDArray[np.float32]]] = {}

    def info(self) -> ModelInfo:
        """Its entry in `/api/models`."""
        preprocessing = self.classifier.preprocessing
        return ModelInfo(
            name=self.name,
            recipe=described_recipe(self.classifier),
            classes=len(self.classifier.classes),
            side=preprocessing.side,
            crop=preprocessing.crop,
            views=self.default_views,
            answers=["classify", *self.analyses.names],
            trained=self._summary.trained,
            tested=self._summary.tested,
        )

    def start(self, executor: Executor) -> None:
        """Starts the queues in the running event loop; `executor` runs the model, one batch at a time."""
        for views in get_args(ViewsName):
            self._batchers[views] = Batcher(partial(self._score, views), PHOTOS_PER_PASS, executor)

    @property
    def waiting(self) -> int:
        """The number of photos in the queues."""
        return sum(map(len, self._batchers.values()))

    def prepare(self, photo: UploadedPhoto) -> ModelInput:
        """The photo, resized as the training photos of the model, or of each member, were.

        UnreadableImage if it is so narrow that it would become too large.
        """
        height, width, _ = photo.pixels.shape
        notes = photo.notes + size_notes(enlargement(photo.pixels, self.classifier.preprocessing))
        info = PhotoInfo(width=width, height=height, notes=notes)
        squares = (to_stored_square(photo.pixels, each.preprocessing) for each in self.classifier.members)
        return ModelInput(photo.pixels, tuple(squares), info)

    async def classify(self, given: ModelInput, views: ViewsName, top: int, crops: bool) -> ClassifiedPhoto:
        """The `top` (1 or more) most probable classes; with `crops` also those of each crop, and the square.

        The probabilities are the mean over the crops of `views`, calibrated if the model was for these views.
        It must run in the event loop of `start`. An exception of the model is raised for every photo of the
        batch.
        """
        by_view = await self._batchers[views].submit(given.squares)
        return ClassifiedPhoto(
            views=views,
            classes=self.best(self._mean(by_view, views), top),
            square=self._square(given.square) if crops else None,
            crops=self._crops(by_view, views) if crops else None,
        )

    def best(self, row: npt.NDArray[np.float32], top: int) -> list[ClassProbability]:
        """The `top` classes of the largest probabilities in `row` (K,), largest first, ties in label order.

        All K classes if `top` is larger.
        """
        classes = self.classifier.classes
        return [
            ClassProbability(wnid=classes[i].wnid, name=classes[i].name, probability=float(row[i]))
            for i in np.argsort(-row, kind="stable")[:top]
        ]

    def _mean(self, by_view: npt.NDArray[np.float32], views: ViewsName) -> npt.NDArray[np.float32]:
        """(K,) the mean over the views of (V, K), calibrated if the model was calibrated for them."""
        mean, calibration = by_view.mean(axis=0), self.classifier.calibration_for(views)
        return mean if calibration is None else calibration.apply(mean[None])[0]

    def _score(self, views: ViewsName, photos: Sequence[tuple[Pixels, ...]]) -> npt.NDArray[np.float32]:
        """(N, V, K) the mean over the members for each crop; crops of all members have the same order."""
        rows = [
            score_crops(
                member.model,
                member.preprocessing,
                torch.from_numpy(np.stack(squares)),
                positions_of(views, member.preprocessing),
            )
            for member, squares in zip(self.classifier.members, zip(*photos, strict=True), strict=True)
        ]
        return np.mean(rows, axis=0) if len(rows) > 1 else rows[0]

    def _crops(self, by_view: npt.NDArray[np.float32], views: ViewsName) -> list[Crop]:
        positions = positions_of(views, self.classifier.preprocessing).tolist()
        return [
            Crop(x=x, y=y, mirrored=bool(mirrored), classes=self.best(row, _CLASSES_OF_A_CROP))
            for (y, x, mirrored), row in zip(positions, by_view, strict=True)
        ]

    def _square(self, square: Pixels) -> Square:
        preprocessing = self.classifier.preprocessing
        return Square(side=preprocessing.side, crop=preprocessing.crop, image=data_url(square))


def served_paths(paths: Sequence[Path]) -> list[Path]:
    """What is served for these paths: an ensemble is followed by its models, if it has several."""
    served: list[Path] = []
    for path in map(located, paths):
        members = members_of([path])
        served += [path, *members] if len(members) > 1 else members
    return served


def open_models(paths: Sequence[Path], device: torch.device | str = "auto") -> list[ServedModel]:
    """A model for each of `served_paths`, in order.

    CommandError if there is nothing to load, two have one name, or one predicts no classes; DataError if a
    file is broken.
    """
    served = served_paths(paths)
    classifiers: list[Predictor] = []
    for path in paths:
        loaded = load(path, device)
        classifiers += [loaded, *loaded.members] if len(loaded.members) > 1 else [loaded]
    return list(map(served_model, served, unique_names(served), classifiers))


def served_model(path: Path, name: str, classifier: Predictor) -> ServedModel:
    """The model of one run directory, ensemble or exported file, under that name; errors as `open_models`."""
    if not classifier.task.info.classifies:
        raise CommandError(
            f"{path} was not trained to predict classes, which the web demo shows: use alexnet predict"
        )
    analyses = Analyses()
    if len(classifier.members) > 1:  # the models of an average have no features in common
        return ServedModel(name, classifier, _summary(path, classifier), analyses)
    # A classic pipeline, an exported file without named layers and a classifier lack one or both.
    with suppress(CommandError):
        analyses.saliency = saliency_of(classifier)
    with suppress(CommandError):
        analyses.localize = boxes_of(classifier)
    return ServedModel(name, classifier, _summary(path, classifier), analyses)


def add_similar(
    model: ServedModel,
    path: Path,
    store: Store,
    device: torch.device | str = "auto",
    progress_bar: ProgressBar = no_progress_bar,
) -> None:
    """Lets `model`, opened from `path`, find similar training images of `store`.

    It does nothing if the model has no last hidden layer or the store no training split.
    """
    if SIMILAR_SPLIT not in store.splits or len(model.classifier.members) > 1:
        return
    try:
        layer = last_hidden_layer(model.classifier.model)
    except CommandError:
        return
    spec = SearchSpec(store, SIMILAR_SPLIT, layer)
    images = open_similar_images(path, model.classifier, spec, device, progress_bar)
    model.analyses.similar = similar_of(images, StorePhotos(store))


def saliency_of(classifier: Predictor) -> Callable[[ModelInput], Saliency]:
    """Grad-CAM, in the center crop, of the class that the default views predict.

    CommandError for a model without feature maps.
    """
    last_maps(classifier)
    preprocessing = classifier.preprocessing
    views = served_views(classifier)
    top, left, _ = center(preprocessing.side, preprocessing.crop)[0].tolist()

    def saliency(given: ModelInput) -> Saliency:
        label = int(np.argmax(classifier.probabilities(given.square, views=views)[0]))
        values = torch.from_numpy(grad_cam(classifier, given.square[None], [label]))
        coarse = adaptive_avg_pool2d(values, min(GRID, preprocessing.crop))[0]
        return Saliency(
            wnid=classifier.classes[label].wnid,
            name=classifier.classes[label].name,
            x=left,
            y=top,
            crop=preprocessing.crop,
            side=preprocessing.side,
            values=[[round(value, 3) for value in row] for row in coarse.tolist()],
        )

    return saliency


def boxes_of(classifier: Predictor) -> Callable[[ModelInput], PredictedBoxes]:
    """The most probable class with its box, or all objects if the model is a detector.

    CommandError for a model that predicts no boxes.
    """
    if not classifier.predicts_boxes:
        raise CommandError(f"{classifier.config.recipe} is a classifier; it predicts no boxes")
    classifier.predict([])  # refuses a model whose boxes do not fit photos
    top = None if classifier.task.info.detects_all else 1

    def boxes(given: ModelInput) -> PredictedBoxes:
        height, width = given.pixels.shape[:2]
        found: list[PredictedBox] = []
        for each in classifier.predict(given.pixels, top=top)[0]:
            if not isinstance(each, BoxPrediction):
                continue
            x0, y0, x1, y1 = each.box
            found.append(
                PredictedBox(
                    wnid=each.wnid,
                    name=each.name,
                    score=each.score,
                    x0=x0 / width,
                    y0=y0 / height,
                    x1=x1 / width,
                    y1=y1 / height,
                )
            )
        return PredictedBoxes(boxes=found)

    return boxes


def similar_of(images: SimilarImages, photos: StorePhotos) -> Callable[[ModelInput], NearestImages]:
    """The `NEIGHBORS_SHOWN` nearest images to a photo."""

    def similar(given: ModelInput) -> NearestImages:
        (found,) = images.of(given.square, NEIGHBORS_SHOWN)
        split = images.split.name
        neighbors = [
            SimilarImage(distance=each.distance, **dict(photos.describe(split, each.number)))
            for each in found
        ]
        return NearestImages(split=split, layer=images.layer, neighbors=neighbors)

    return similar


def unique_names(paths: Sequence[Path]) -> list[str]:
    """The names of the paths, with that of the parent directory if two are equal; CommandError if these are
    equal, too.
    """
    short = list(map(model_name, paths))
    names = [
        name if short.count(name) == 1 else f"{path.resolve().parent.name}/{name}"
        for path, name in zip(paths, short, strict=True)
    ]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CommandError(f"two models have the name {twice[0]}: rename one of them, or omit it")
    return names


def check_model_classes(models: Sequence[ServedModel], store: Store) -> None:
    """DataError if the store's classes differ from those of a model; their order does not matter."""
    for model in models:
        what = f"the classes of {model.name} and those of {store.path}"
        if {each.wnid for each in model.classifier.classes} != {each.wnid for each in store.classes}:
            check_same_classes(model.classifier.classes, store.classes, what)
        label_map(store.classes, model.classifier.classes, what)


def _summary(path: Path, classifier: Predictor) -> ModelHistory:
    members = members_of([path])
    if path.is_file():
        known, progress = classifier.provenance, ""
    elif len(members) > 1:
        known, progress = provenance_of_average(RunDir(path), list(map(RunDir, members))), ""
    else:
        run = RunDir.open(members[0])
        known, progress = provenance(run), training_progress(run)
    return ModelHistory(trained_text(known, progress), evaluated_text(known))


def described_recipe(classifier: Predictor) -> str:
    """The recipe of a model, or the number of models of an average."""
    count = len(classifier.members)
    return f"average of {count} models" if count > 1 else classifier.config.recipe


def trained_text(known: Provenance | None, progress: str = "") -> str:
    """How long a model was trained and on which store; empty if unknown. `progress` is that of an unfinished
    run.
    """
    if known is None:
        return ""
    if known.members:
        return ", ".join(dict.fromkeys(each.run for each in known.members))
    if known.imported is not None:
        return f"imported from {known.imported.program}"
    on = f" on {known.store}" if known.store else ""
    epochs = f"{known.epochs} epochs" if known.epochs else "trained"
    return f"{epochs}{on}, seed {known.seed}" + (f"; unfinished, at {progress}" if progress else "")


def evaluated_text(known: Provenance | None) -> str:
    """The last error that was measured, if possible on the store of the training; empty if there is none."""
    if known is None or not known.errors:
        return ""
    own = {each.store_digest for each in known.members or (known,)}
    last = max(reversed(known.errors), key=lambda error: error.store_digest in own and error.split != "train")
    return f"{percentage(last.top1_error)} top-1 error on {last.images:,} images of {last.store} {last.split}"
