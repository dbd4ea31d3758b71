"""`alexnet.wrap_model` and `alexnet.evaluate_model`: any torch model with this package's data and tests."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from alexnet import recipes
from alexnet.config import validate
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.errors import AlreadyExists, CommandError
from alexnet.evaluation import metrics
from alexnet.evaluation.inference import BATCH_SIZE, InferenceOptions
from alexnet.evaluation.prediction_cache import predict_split
from alexnet.evaluation.predictor import EnsemblePredictor, Predictor
from alexnet.evaluation.run_evaluation import record, with_origin
from alexnet.evaluation.views import parse_views, with_default
from alexnet.hardware import choose_device
from alexnet.io import is_left_over
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import LOGITS
from alexnet.progress import ProgressBar, no_progress_bar
from alexnet.runs import predictions
from alexnet.runs.results import EvalResult, EvaluatedRun, ViewSet, is_results, read_results
from alexnet.tasks.classification import Classification


class _AnyModel(nn.Module):
    """A model of which only the logits are known."""

    layer_names = (LOGITS,)

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """(N, K) logits of preprocessed images (N, C, crop, crop)."""
        return self.model(images)

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        """The logits alone."""
        return {LOGITS: self(images)}


def wrap_model(
    model: nn.Module,
    store: Store,
    *,
    input_size: int | None = None,
    mean: Iterable[float] | None = None,
    std: Iterable[float] | None = None,
    name: str = "",
    device: str | torch.device = "auto",
) -> Predictor:
    """The `Predictor` of any torch classifier of a store's classes, such as one of timm or torchvision.

    `model` takes float32 images (N, C, input_size, input_size) and returns logits (N, K) in the order of
    `store.classes`, as one trained on `store.torch_dataset(...)` does. `input_size` is in pixels, by default
    the store's side. Inputs are normalized as in torchvision: fractions in 0..1, minus `mean`, divided by
    `std` (at least 1/255), one number per channel; by default those of the store's training images. Photos
    are resized as the store's. `name` is used in results, by default the model's class.

    The predictor predicts for photos and can be tested with `evaluate_model`. It has no run directory, so it
    cannot be exported, and no views `dense`. CommandError for sizes and numbers that do not fit, or a model
    that returns something else::

        model = torchvision.models.resnet18(num_classes=len(store.classes))
        predictor = alexnet.wrap_model(model, store, input_size=56)
        result = alexnet.evaluate_model(predictor, store, views="ten")
    """
    colors: dict[str, tuple[float, ...]] = {}
    for given, numbers, least, shown in (("mean", mean, 0.0, "0"), ("std", std, 1 / 255, "1/255")):
        values = () if numbers is None else tuple(map(float, numbers))
        if numbers is not None and (
            len(values) != store.channels or not all(least <= x <= 1 for x in values)
        ):
            raise CommandError(f"{given}={values} must be {store.channels} fractions of white, in {shown}..1")
        colors[f"color_{given}"] = tuple(255 * x for x in values)
    config = recipes.get("alexnet-modern")
    data = replace(
        config.data,
        image_size=store.side,
        input_size=input_size or store.side,
        channels=store.channels,
        scales=(0, 0),
        test_scales=(),
        test_size=0,
        pca_lighting="none",
        normalization="mean-and-std",
        **colors,
    )
    config = validate(replace(config, recipe=name or type(model).__name__, data=data))
    preprocessing = Preprocessing.from_store(data, store)
    wrapped = _AnyModel(model).to(choose_device(device)).eval()
    _check_output(wrapped, preprocessing, len(store.classes))
    return Predictor(ModelBundle(wrapped, config, store.classes, preprocessing))


def evaluate_model(
    predictor: Predictor,
    store: Store,
    *,
    split: str = "val",
    views: str | ViewSet = "",
    batch_size: int = BATCH_SIZE,
    progress: ProgressBar = no_progress_bar,
    out: str | Path | None = None,
) -> EvalResult:
    """The errors of a model in memory on a split, as `alexnet.evaluate` tests runs.

    With `out`, a new or empty folder or that of other tests of the same model, the result and the predictions
    are saved there, for `alexnet compare` and `alexnet report`; otherwise nothing is saved.

    `views` are by default those of `Predictor.probabilities`: the ones that the model is calibrated for, else
    ten crops, or the center crop for a model that was not trained on mirrored images. Each image is scored
    exactly once. Calibration is not applied. CommandError for an ensemble (use `alexnet.evaluate`), a model
    that predicts boxes, or images without labels; AlreadyExists if there is something else at `out`;
    DataError if the store's classes or form are not the model's.
    """
    if isinstance(predictor, EnsemblePredictor):
        raise CommandError("an ensemble is tested by its directory: alexnet.evaluate(DIRECTORY, store)")
    if not predictor.task.info.classifies:
        raise CommandError(f"{predictor.config.recipe} does not predict classes: use alexnet.evaluate")
    task = Classification(predictor.config, len(predictor.classes))
    name = predictor.config.recipe
    if out is not None:
        _refuse_taken(Path(out), name)
    with progress(f"testing {name}", len(store.split(split))) as advance:
        options = InferenceOptions(batch_size=batch_size, progress=advance)
        chosen = with_default(parse_views(views), predictor.default_views)
        made = predict_split(task, predictor.bundle, store, split, chosen, options)
    tested = with_origin(metrics.evaluate_predictions(made), store, [])
    result = replace(tested, runs=(EvaluatedRun(name, name, None, None, "last"),))
    if out is not None:
        predictions.save(made, predictions.path_of(Path(out), split, chosen))
        record(Path(out), result)
    return result


def _refuse_taken(folder: Path, name: str) -> None:
    """AlreadyExists unless the folder is new, empty, or has only results of the model of this name."""
    if not folder.exists() or (folder.is_dir() and all(map(is_left_over, folder.iterdir()))):
        return
    results = read_results(folder) if is_results(folder) else []
    if not results or any([run.run for run in each.runs] != [name] for each in results):
        raise AlreadyExists(f"{folder} has something else than results of {name}: choose another folder")


def _check_output(model: nn.Module, preprocessing: Preprocessing, classes: int) -> None:
    data = preprocessing.data
    device = next((each.device for each in model.parameters()), torch.device("cpu"))
    images = torch.zeros(2, data.channels, data.input_size, data.input_size, device=device)
    try:
        with torch.no_grad():
            found = cast(object, model(images))
    except Exception as error:  # a model of another library may raise anything
        reason = str(error).partition("\n")[0][:200]
        raise CommandError(f"the model does not take images {tuple(images.shape)}: {reason}") from error
    if not isinstance(found, Tensor) or found.shape != (2, classes):
        shape = f"{tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise CommandError(f"the model returns {shape} for 2 images, expected logits (2, {classes})")
