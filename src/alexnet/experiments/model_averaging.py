"""Dropout as model averaging: the mean of many thinned networks, and one network with halved units.

Source: paper, section 4.2, which calls halving an approximation of the geometric mean of the predictions of
all thinned networks. Here the arithmetic mean of their softmax outputs is computed for 1, 2, ..., K random
masks, on the same photos as the output with halved units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from alexnet.checksum import write_json_with_checksum
from alexnet.data.crops import center
from alexnet.data.store import Split, Store
from alexnet.data.subset import stratified_order
from alexnet.errors import CommandError
from alexnet.evaluation.inference import check_pixels, columns_of, device_name, infer_images, testing
from alexnet.evaluation.metrics import mean_nll, true_ranks
from alexnet.evaluation.views import ScaledView, scaled_views
from alexnet.json_reader import read_object
from alexnet.models.alexnet import AlexNet
from alexnet.models.bundle import ModelBundle
from alexnet.models.layers.dropout import MaskDropout
from alexnet.runs.results import ViewSet
from alexnet.serialization import from_dict, to_dict

AVERAGING_FILE = "model-averaging.json"
VIEWS, BATCH_IMAGES = "center", 64
MASKS, SEEDS, PHOTOS = 100, (0, 1, 2), 2000


@dataclass(frozen=True, kw_only=True)
class ModelAveraging:
    """Errors of the mean of 1, 2, ... masks, and of halved units, on the same photos; fractions."""

    recipe: str
    store: str
    store_digest: str
    split: str
    photos: int
    layers: tuple[str, ...]
    """The layers that dropout follows."""
    probability: float
    """The probability that a unit is dropped."""
    seeds: tuple[int, ...]
    """Seeds of the masks."""
    errors: tuple[tuple[float, ...], ...]
    """Top-1 errors: for each seed, of the mean over the first 1, 2, ... masks."""
    nll: tuple[tuple[float, ...], ...]
    """Mean negative log-likelihoods of the same."""
    distances: tuple[tuple[float, ...], ...]
    """Mean total variation distance of the same from the prediction with scaled units, 0 to 1."""
    scaled_error: float
    """Top-1 error with all units, multiplied by the probability that they are kept."""
    scaled_nll: float
    device: str

    def save(self, folder: Path) -> None:
        """Writes `model-averaging.json`."""
        write_json_with_checksum(folder / AVERAGING_FILE, to_dict(self))


def read_model_averaging(folder: Path) -> ModelAveraging | None:
    """The contents of the folder's `model-averaging.json`; None if there is none, DataError if damaged."""
    file = folder / AVERAGING_FILE
    if not file.is_file():
        return None
    return read_object(
        file, lambda values: from_dict(ModelAveraging, values), "is not such a result", "make it again"
    )


def average_masks(
    bundle: ModelBundle,
    store: Store,
    split: str = "val",
    *,
    masks: int = MASKS,
    seeds: Sequence[int] = SEEDS,
    photos: int = PHOTOS,
    progress: Callable[[int], None] = lambda count: None,
) -> ModelAveraging:
    """Compares the mean of random masks with scaled units, on at most `photos` photos of all classes.

    `progress` is called with numbers of photos, each once for every seed. CommandError if the model is no
    AlexNet with dropout; DataError if the store does not fit it.
    """
    layers = dropped_layers(bundle.model)
    check_pixels(bundle.preprocessing, store)
    columns, whole = columns_of(bundle, store), store.split(split)
    part = whole.part(np.sort(stratified_order(whole.keys(), whole.labels)[:photos]))
    labels = part.labels.astype(np.int64)
    views = scaled_views(bundle, ViewSet(VIEWS))
    curves: list[tuple[list[float], list[float], list[float]]] = []
    scaled = np.empty(0)
    for seed in seeds:
        rows = _infer(bundle, part, views, masks, seed, progress)[:, :, columns]
        scaled, drawn = rows[:, 0], rows[:, 1:]
        curves.append(_curves(drawn, scaled, labels))
    errors, nll, distances = zip(*curves, strict=True)
    return ModelAveraging(
        recipe=bundle.config.recipe,
        store=store.path.resolve().name,
        store_digest=store.digest,
        split=split,
        photos=len(part),
        layers=layers,
        probability=bundle.config.model.dropout,
        seeds=tuple(seeds),
        errors=tuple(map(tuple, errors)),
        nll=tuple(map(tuple, nll)),
        distances=tuple(map(tuple, distances)),
        scaled_error=_error(scaled, labels),
        scaled_nll=mean_nll(scaled, labels),
        device=device_name(bundle.model),
    )


def dropped_layers(model: nn.Module) -> tuple[str, ...]:
    """The layers of an AlexNet that dropout follows; CommandError for another model, or without dropout."""
    found = (
        [layer for layer, stage in model.after.items() if any(map(_is_dropout, stage.modules()))]
        if isinstance(model, AlexNet) and model.dropout
        else []
    )
    if not found:
        raise CommandError("the model has no dropout to average over: use an AlexNet trained with it")
    return tuple(found)


def _is_dropout(module: nn.Module) -> bool:
    return isinstance(module, MaskDropout | nn.Dropout)


def _infer(
    bundle: ModelBundle,
    part: Split,
    views: Sequence[ScaledView],
    masks: int,
    seed: int,
    progress: Callable[[int], None],
) -> npt.NDArray[np.float64]:
    """(N, 1 + masks, K) probabilities: with scaled units, then with each mask."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        rows = infer_images(_Masks(masks), bundle, part, views, BATCH_IMAGES, progress)
    return np.stack(rows).astype(np.float64)


@dataclass(frozen=True)
class _Masks:
    """Infers the probabilities of an AlexNet with scaled units, and with random masks."""

    masks: int

    def infer(
        self, bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
    ) -> Sequence[npt.NDArray[np.float32]]:
        """(1 + masks, K) for each image."""
        model, preprocessing = bundle.model, bundle.preprocessing
        assert isinstance(model, AlexNet)
        dropouts = [module for module in model.modules() if _is_dropout(module)]
        with testing(model) as device:
            crop = center(preprocessing.side, preprocessing.crop)
            inputs = preprocessing.test_input(images[0].to(device), crop)
            found = [model(inputs).softmax(1)]
            first = model.layers.index(dropped_layers(model)[0])
            hidden = inputs
            for layer in model.layers[:first]:  # what no mask changes
                hidden = model.after[layer](model.get_submodule(layer)(hidden))
            for module in dropouts:
                module.train()
            found += [_rest(model, first, hidden).softmax(1) for _ in range(self.masks)]
        return list(torch.stack(found, 1).cpu().numpy())


def _rest(model: AlexNet, first: int, hidden: Tensor) -> Tensor:
    """Logits from the input of the layer with that place."""
    for layer in model.layers[first:-1]:
        hidden = model.after[layer](model.get_submodule(layer)(hidden))
    return model.forward_head(hidden)


def _curves(
    drawn: npt.NDArray[np.float64], scaled: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]
) -> tuple[list[float], list[float], list[float]]:
    """Errors, likelihoods and distances of the mean over the first 1, 2, ... of (N, masks, K)."""
    total = np.zeros_like(scaled)
    errors: list[float] = []
    nll: list[float] = []
    distances: list[float] = []
    for count in range(1, drawn.shape[1] + 1):
        total += drawn[:, count - 1]
        mean = total / count
        errors.append(_error(mean, labels))
        nll.append(mean_nll(mean, labels))
        distances.append(float(0.5 * np.abs(mean - scaled).sum(1).mean()))
    return errors, nll, distances


def _error(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> float:
    return float((true_ranks(probabilities, labels) > 0).mean())
