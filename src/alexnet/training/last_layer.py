"""A last layer that is fitted to the features of the other layers, by logistic regression.

With the convolutions of a trained model this is a classifier by itself (a linear probe), and a better start
for fine-tuning than random weights. Source: Kumar et al. 2022, arXiv:2202.10054, section 3.3 ("LP-FT").
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit
from sklearn.utils.class_weight import compute_sample_weight
from torch import Tensor, nn

from alexnet.data.crops import center
from alexnet.data.store import Split
from alexnet.errors import CommandError
from alexnet.evaluation.inference import infer_images, testing
from alexnet.evaluation.views import ScaledView, scaled_views
from alexnet.models.bundle import ModelBundle
from alexnet.models.layers.lenet import RadialBasis
from alexnet.runs.results import ViewSet

Features = npt.NDArray[np.float32]
STRENGTHS = tuple(10.0**exponent for exponent in range(-4, 2))
"""Candidates for scikit-learn's `C`, the inverse of the penalty on the weights of standardized features."""
DEFAULT_STRENGTH = 0.01
"""`C` where classes have too few images to hold some out."""
FOLDS = 5
MANY_IMAGES = 5000
"""From here on one fifth of the images is held out once, instead of each fifth in turn."""
MAX_ITERATIONS = 500
CLEARLY_WORSE = 1.02
"""A loss relative to the lowest one, above which weaker penalties are not tried: they take the longest."""


@dataclass(frozen=True)
class FittedLayer:
    """How a last layer was fitted."""

    strength: float
    """The chosen `C`."""
    images: int
    held_out_error: float | None
    """Share of wrong predictions for images held out of the fit, in [0, 1]; None where none could be."""


def fit_last_layer(
    bundle: ModelBundle,
    split: Split,
    seed: int,
    progress: Callable[[int], None] = lambda count: None,
    groups: Sequence[str] | None = None,
) -> FittedLayer:
    """Replaces the weights of the model's last layer by those of a logistic regression.

    `progress(count)` is called after each batch of `count` images, and with 0 after each fit; what it raises
    ends the work before weights are replaced.

    It is fitted to the output of `forward_features` for the center crop of each image of `split` and, if the
    model's images are mirrored in training, for its mirror image. The penalty is the one with the lowest loss
    on held-out images; an image and its mirror image are held out together, and so are the images of a group:
    `groups` has the name of each image's. With `class_weights=balanced` or
    `sampling=balanced` all classes have the same total weight, otherwise all images. CommandError if the last
    layer is not linear, or a class has no images.
    """
    layer = last_linear_layer(bundle.model)
    labels = split.labels.astype(np.int64)
    _refuse_empty_classes(labels, bundle)
    views = last_layer_inputs(bundle, split, bundle.preprocessing.data.mirror, progress)
    mean, scale = views.mean((0, 1)), views.std((0, 1)) + 1e-6
    standardized = (views - mean) / scale
    config = bundle.config
    balanced = config.training.class_weights == "balanced" or config.data.sampling == "balanced"
    strength, error = choose_strength(standardized, labels, seed, balanced, partial(progress, 0), groups)
    weight, bias = _coefficients(_fit(standardized, labels, strength, balanced), len(bundle.classes))
    weight = weight / scale
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias - weight @ mean))
    return FittedLayer(strength, len(labels), error)


def last_layer_inputs(
    bundle: ModelBundle,
    split: Split,
    mirror: bool = False,
    progress: Callable[[int], None] = lambda count: None,
) -> Features:
    """(V, N, D) the output of `forward_features` for the center crop of each of N images.

    V is 1; with `mirror` it is 2, and the second one is that of the mirror image.
    """
    task = _FeatureTask(mirror)
    rows = infer_images(task, bundle, split, scaled_views(bundle, ViewSet("center")), progress=progress)
    return np.stack(rows, axis=1)


def last_linear_layer(model: nn.Module) -> nn.Linear:
    """The layer that `forward_head` applies and nothing else; CommandError if it is not linear."""
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    squared_distances = any(isinstance(module, RadialBasis) for module in model.modules())
    if linear and hasattr(model, "forward_head") and not squared_distances:
        rows = torch.ones(2, linear[-1].in_features, device=linear[-1].weight.device)
        with testing(model):
            logits = model.forward_head(rows)  # pyright: ignore[reportCallIssue]
            if logits.shape[1:] == (linear[-1].out_features,) and torch.equal(logits, linear[-1](rows)):
                return linear[-1]
    raise CommandError(
        f"the last layer of {type(model).__name__} is not linear: type training.fit_last_layer=no"
    )


_Fold = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _folds(labels: npt.NDArray[np.int64], seed: int, groups: Sequence[str] | None) -> list[_Fold]:
    """The images to fit to and those to hold out, once or several times; empty if that is not possible.

    A fifth of many images, if each class can have one there; else folds, with images of each class. All
    images of a group are on the same side.
    """
    counts = np.bincount(labels)
    if counts.min() < 2:
        return []
    if groups is not None:
        number = min(FOLDS, int(counts.min()), len(set(groups)))
        if number < 2:
            return []
        grouped = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
        made = list(grouped.split(labels, labels, groups))
        found = [fold for fold in made if len(np.unique(labels[fold[0]])) == len(counts)]
    elif len(labels) >= MANY_IMAGES and len(labels) // FOLDS >= len(counts):
        found = list(StratifiedShuffleSplit(1, test_size=1 / FOLDS, random_state=seed).split(labels, labels))
    else:
        folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=seed)
        found = list(folds.split(labels, labels))
    return found if len(labels) < MANY_IMAGES else found[:1]


def choose_strength(
    features: Features,
    labels: npt.NDArray[np.int64],
    seed: int,
    balanced: bool = False,
    fitted_one: Callable[[], None] = lambda: None,
    groups: Sequence[str] | None = None,
) -> tuple[float, float | None]:
    """The penalty with the lowest mean loss on held-out images, and the share of these that is wrong.

    The strongest penalty is tried first, the others until the loss is clearly higher than the lowest one.
    With `balanced` each class has the same weight in the fit and in the loss. `fitted_one` is called after
    each fit.

    `features` are (V, N, D) of V views of each image; only the first view of held-out images is predicted.
    With `groups`, the name of each image's, the images of a group are held out together.
    """
    folds = _folds(labels, seed, groups)
    if not folds:
        return DEFAULT_STRENGTH, None
    best, lowest, error = DEFAULT_STRENGTH, np.inf, 0.0
    for strength in STRENGTHS:
        losses, errors = list[float](), list[float]()
        for kept, held_out in folds:
            fitted = _fit(features[:, kept], labels[kept], strength, balanced)
            probabilities = fitted.predict_proba(features[0, held_out])
            weights = compute_sample_weight("balanced", labels[held_out]) if balanced else None
            losses.append(
                log_loss(labels[held_out], probabilities, labels=fitted.classes_, sample_weight=weights)
            )
            errors.append(float(np.mean(probabilities.argmax(1) != labels[held_out])))
            fitted_one()
        loss = float(np.mean(losses))
        if loss < lowest:
            best, lowest, error = strength, loss, float(np.mean(errors))
        elif loss > CLEARLY_WORSE * lowest:
            break
    return best, error


@dataclass(frozen=True)
class _FeatureTask:
    """Infers for each image the features (V, D) of its center crop and, perhaps, of its mirror image."""

    mirror: bool

    def infer(
        self, bundle: ModelBundle, scaled: Sequence[ScaledView], images: Sequence[Tensor]
    ) -> Sequence[Features]:
        (central,) = center(bundle.preprocessing.side, bundle.preprocessing.crop)
        positions = np.stack([central, central + np.array([0, 0, 1])]) if self.mirror else central[None]
        with testing(bundle.model) as device:
            inputs = bundle.preprocessing.test_input(images[0].to(device), positions)
            features = bundle.model.forward_features(inputs)  # pyright: ignore[reportCallIssue]
        return list(features.float().cpu().unflatten(0, (-1, len(positions))).numpy())


def _fit(
    features: Features, labels: npt.NDArray[np.int64], strength: float, balanced: bool
) -> LogisticRegression:
    weights = "balanced" if balanced else None
    model = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS, class_weight=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(np.concatenate(features), np.tile(labels, len(features)))


def _coefficients(
    fitted: LogisticRegression, classes: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(K, D) and (K,); scikit-learn has a single row for two classes."""
    weight, bias = np.asarray(fitted.coef_), np.asarray(fitted.intercept_)
    if classes == 2:
        return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def _refuse_empty_classes(labels: npt.NDArray[np.int64], bundle: ModelBundle) -> None:
    counts = np.bincount(labels, minlength=len(bundle.classes))
    empty = [each.name for each, count in zip(bundle.classes, counts, strict=True) if not count]
    if empty:
        raise CommandError(
            f"the class {empty[0]} has no training images: fit_last_layer needs some of each class"
        )
