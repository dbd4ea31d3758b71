"""The estimators for images in memory keep scikit-learn's contract."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import estimator_checks_generator

from alexnet import recipes
from alexnet.config import override
from alexnet.data.classes import Class
from alexnet.data.decode import luma
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.fitting.classic_estimators import SiftFisherClassifier, SparseCodingClassifier
from alexnet.fitting.estimator import AlexNetClassifier
from alexnet.models import bundle
from alexnet.models.alexnet import AlexNet
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build_run

MEAN = (100.0, 120.0, 140.0)


@cache
def tiny_network(normalization: str = "mean-and-std", bgr: bool = False, gray: bool = False) -> str:
    """The path of a file with an `alexnet-small` of few maps and random weights.

    With `bgr` the same model for inputs in that order; with `gray` one for gray images.
    """
    settings = ["model.architecture.widths=[8,8,8,8,8,8,8]", "data.input_size=32", "data.image_size=40"]
    if gray:
        settings += ["data.channels=1", "data.pca_lighting=none", "data.color_jitter=0"]
    config = override(recipes.get("alexnet-small"), [*settings, f"data.normalization={normalization}"])
    resized = {"shape": "square", "resize": "crop", "resampling": "bicubic, antialiased"}
    mean = torch.tensor(MEAN[::-1] if bgr else MEAN)
    if normalization == "mean-image":
        mean = mean.expand(40, 40, 3).clone()
    channels = config.data.channels
    preprocessing = Preprocessing(
        config.data,
        mean[..., :channels],
        torch.full((channels,), 60.0),
        torch.ones(channels),
        torch.eye(channels),
        resized,
        "L" if gray else "BGR" if bgr else "RGB",
    )
    torch.manual_seed(0)
    model = build_run(config, 2).eval()
    if bgr:
        weight = model.get_parameter("conv1.weight")
        weight.data = weight.data.flip(1)
    path = Path(mkdtemp()) / "tiny.safetensors"
    classes = [Class(name, name) for name in "ab"]
    bundle.save(path, ModelBundle(model, config, classes, preprocessing))
    return str(path)


def stripes(count: int, seed: int, channels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Images of 40 x 30 pixels with horizontal or vertical stripes, and which of them they have."""
    random, (y, x) = np.random.default_rng(seed), np.mgrid[:40, :30]
    labels = np.array(["rows", "columns"])[np.arange(count) % 2]
    images = [
        100 + 60 * np.sin((y if label == "rows" else x) / random.uniform(1.5, 2.5) + random.uniform(0, 6))
        for label in labels
    ]
    pixels = np.stack(images)[..., None] + random.normal(0, 20, (count, 40, 30, channels))
    return pixels.clip(0, 255).astype(np.uint8), labels


@pytest.mark.parametrize("channels", [1, 3])
def test_stripes_are_classified(channels: int) -> None:
    images, labels = stripes(30, 0, channels)
    model: Any = AlexNetClassifier(device="cpu").fit(images, labels)
    others, truth = stripes(20, 1, channels)
    probabilities = model.predict_proba(others)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert (model.predict(others) == truth).mean() >= 0.9
    assert list(model.classes_) == ["columns", "rows"]
    assert (model.classes_[probabilities.argmax(1)] == model.predict(others)).all()


def test_gray_images_and_other_ranges_give_the_same() -> None:
    images, labels = stripes(24, 0, 1)
    images[0, 0, 0], images[0, 0, 1] = 0, 255
    wanted = AlexNetClassifier(C=0.01, device="cpu").fit(images, labels).predict_proba(images)
    for other in (
        images[..., 0],
        np.repeat(images, 3, 3),
        images / 255.0,
        images.astype(np.float32) * 4 - 100,
    ):
        found = AlexNetClassifier(C=0.01, device="cpu").fit(other, labels).predict_proba(other)
        np.testing.assert_allclose(found, wanted, atol=2e-3)


def test_other_means_and_orders_of_channels_give_the_same() -> None:
    images, labels = stripes(24, 0)
    images[..., 0] //= 2
    found = [
        AlexNetClassifier(tiny_network(*kind), C=0.01, device="cpu").fit(images, labels).predict_proba(images)
        for kind in (("channel-mean",), ("mean-image",), ("channel-mean", True))
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-4)


def test_bytes_keep_their_range_in_every_type() -> None:
    images, labels = stripes(24, 0)
    images = images.clip(30, 200)
    model = AlexNetClassifier(tiny_network(), C=0.01, device="cpu").fit(images, labels)
    floats = model.predict_proba(images.astype(np.float64))
    np.testing.assert_allclose(floats, model.predict_proba(images), rtol=1e-5)


@pytest.mark.parametrize(
    ("fitted", "predicted", "message"),
    [
        (1.0, 1 / 255, r"X has values in 0\..*, but the images of the fit had 0\.\.255"),
        (1 / 255, 1.0, r"X has values in .*, but the images of the fit had 0\..*: use the same range"),
    ],
)
def test_fractions_are_not_taken_for_gray_levels(fitted: float, predicted: float, message: str) -> None:
    images, labels = stripes(24, 0)
    of_fit = images if fitted == 1 else images * fitted
    model = AlexNetClassifier(tiny_network(), C=0.01, device="cpu").fit(of_fit, labels)
    with pytest.raises(ValueError, match=message):
        model.predict(images.astype(np.float64) * predicted)
    model.predict(of_fit[:1])
    model.predict(images)  # uint8 is always 0..255


def test_a_network_for_gray_images_gets_their_luma() -> None:
    images, labels = stripes(24, 0)
    gray = luma(images)
    path = tiny_network(gray=True)
    wanted = AlexNetClassifier(path, C=0.01, device="cpu").fit(gray, labels).predict_proba(gray)
    found = AlexNetClassifier(path, C=0.01, device="cpu").fit(images, labels).predict_proba(images)
    np.testing.assert_allclose(found, wanted, atol=0.05)


def test_a_model_without_layers_or_weights_is_refused(tmp_path: Path, monkeypatch) -> None:
    images, labels = stripes(8, 0)
    onnx = tmp_path / "model.onnx"
    onnx.write_bytes(b"not read")
    with pytest.raises(DataError, match=r"model\.onnx"):
        AlexNetClassifier(str(onnx), device="cpu").fit(images, labels)
    monkeypatch.delattr(AlexNet, "forward_features")
    with pytest.raises(CommandError, match=r"of the recipe alexnet-small, is not a network"):
        AlexNetClassifier(tiny_network(), device="cpu").fit(images, labels)


def test_a_penalty_of_zero_is_an_error_of_scikit_learn() -> None:
    with pytest.raises(ValueError, match="'C' parameter"):
        AlexNetClassifier(tiny_network(), C=0.0, device="cpu").fit(*stripes(8, 0))


def test_it_works_in_cross_validation() -> None:
    images, labels = stripes(30, 2)
    assert cross_val_score(AlexNetClassifier(C=0.01, device="cpu"), images, labels, cv=3).mean() >= 0.8


def test_paths_are_refused_with_what_takes_them() -> None:
    with pytest.raises(ValueError, match=r"takes pixels: for photos in files use alexnet\.fit"):
        AlexNetClassifier().fit(["a.jpg", "b.jpg"], [0, 1])


@pytest.mark.parametrize("shape", [(4, 10, 10, 2), (4,), (4, 2, 10, 10, 3)])
def test_arrays_of_other_forms_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images must|Expected 2D array"):
        AlexNetClassifier(device="cpu").fit(np.zeros(shape), np.arange(4) % 2)


CLASSIC = (SiftFisherClassifier, SparseCodingClassifier)


def small(kind: Any, **settings: Any) -> Any:
    return kind(side=24, codebook_size=4, sample_descriptors=200, device="cpu", **settings)


@pytest.mark.parametrize("kind", CLASSIC)
def test_the_earlier_systems_classify_stripes(kind: Any) -> None:
    images, labels = stripes(30, 0)
    model = small(kind).fit(images, labels)
    others, truth = stripes(20, 1)
    assert (model.predict(others) == truth).mean() >= 0.9
    gray = small(kind).fit(images[..., 0], labels)
    assert (gray.predict(others[..., 0]) == truth).mean() >= 0.9
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(others), model.predict_proba(others))


def test_the_earlier_systems_have_the_channels_of_their_recipes() -> None:
    images, labels = stripes(12, 0)
    for kind in CLASSIC:
        model = small(kind).fit(images, labels)
        wanted = recipes.get(kind.recipe).classic.channels
        assert [each.channel.descriptor for each in model.channels_] == [each.descriptor for each in wanted]
        assert [each.channel.encoding for each in model.channels_] == [each.encoding for each in wanted]
    with pytest.raises(ValueError, match="side=8 is smaller than the described patches"):
        SiftFisherClassifier(side=8, device="cpu").fit(images, labels)


EXPECTED_FAILED_CHECKS: dict[type, dict[str, str]] = {
    AlexNetClassifier: {"check_classifiers_train": "points (a, b) and (b, a) are mirror images"},
    SiftFisherClassifier: {},
    SparseCodingClassifier: {"check_classifiers_train": "brightness and contrast are normalized"},
}
"""In the form of scikit-learn's argument, for each estimator."""


def contract() -> Iterator[Any]:
    """Each of scikit-learn's checks; `check_classifiers_train`, the slowest, only once."""
    for each in (AlexNetClassifier(tiny_network(), C=0.01, device="cpu"), *map(small, CLASSIC)):
        for estimator, check in estimator_checks_generator(each):
            name = check.func.__name__
            reason = EXPECTED_FAILED_CHECKS[type(each)].get(name)
            if name != "check_classifiers_train" or not check.keywords:
                marks = [pytest.mark.xfail(strict=True, reason=reason)] if reason else []
                words = f"{type(each).__name__} {name} {check.keywords or ''}".strip()
                yield pytest.param(estimator, check, id=words, marks=marks)


@pytest.mark.parametrize(("estimator", "check"), [*contract()])
def test_the_contract_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_the_documents_name_the_checks_that_fail() -> None:
    page = (Path(__file__).parents[3] / "docs" / "python.md").read_text("utf-8")
    for kind, checks in EXPECTED_FAILED_CHECKS.items():
        assert all(check in page and check in str(kind.__doc__) for check in checks), kind
