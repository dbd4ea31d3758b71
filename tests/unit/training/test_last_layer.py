"""A last layer fitted to features: the same predictions as scikit-learn's, in a run and by itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

import alexnet
from alexnet import recipes
from alexnet.config import ConfigError, RunConfig, override
from alexnet.data.image_reader import read_photo
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.store import Store
from alexnet.errors import CommandError, Stopped
from alexnet.models import LeNet5, LeNet1989
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build_run
from alexnet.runs.run_dir import find_weights
from alexnet.training import last_layer, preemption
from alexnet.training.last_layer import DEFAULT_STRENGTH, choose_strength, fit_last_layer, last_linear_layer

SMALL = [
    "image_size=32",
    "input_size=32",
    "batch_size=4",
    "warmup_epochs=0",
    "model.architecture.widths=[4,8,8,8,8,8,8]",
    "fit_last_layer=yes",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Noise in three colors, one for each class; class c has 6 + c training photos."""
    folder, generator = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for split, photos in (("train", 6), ("val", 2)):
        for label in range(3):
            (folder / split / f"class{label}").mkdir(parents=True)
            for number in range(photos + label):
                pixels = generator.integers(0, 120, (32, 32, 3))
                pixels[..., label] += 100
                photo = Image.fromarray(pixels.astype(np.uint8))
                photo.save(folder / split / f"class{label}" / f"{number}.png")
    return alexnet.prepare(folder, tmp_path_factory.mktemp("store") / "store", side=32, encoding="raw")


def configured(*settings: str) -> RunConfig:
    return override(recipes.get("alexnet-small"), [*SMALL, *settings])


def untrained(store: Store, config: RunConfig) -> ModelBundle:
    torch.manual_seed(0)
    preprocessing = Preprocessing.from_store(config.data, store)
    return ModelBundle(build_run(config, 3).eval(), config, store.classes, preprocessing)


def test_the_model_predicts_what_the_logistic_regression_predicts(store: Store) -> None:
    config = configured("mirror=no")
    bundle = untrained(store, config)
    split = store.split("train")
    fitted = fit_last_layer(bundle, split, seed=0)
    with torch.no_grad():
        pixels = torch.stack([torch.from_numpy(read_photo(split, i)) for i in range(len(split))])
        inputs = bundle.preprocessing.test_input(pixels, np.array([[0, 0, 0]]))
        features = bundle.model.forward_features(inputs).numpy()  # pyright: ignore[reportCallIssue]
        found = bundle.model(inputs).softmax(1).numpy()
    standardized = (features - features.mean(0)) / (features.std(0) + 1e-6)
    wanted = LogisticRegression(C=fitted.strength, max_iter=500).fit(standardized, split.labels)
    np.testing.assert_allclose(found, wanted.predict_proba(standardized), atol=1e-4)
    assert fitted.images == len(split) == 21
    assert fitted.held_out_error is not None


def test_mirrored_training_images_count_as_well(store: Store) -> None:
    plain, mirrored = (untrained(store, configured(f"mirror={each}")) for each in ("no", "yes"))
    for bundle in (plain, mirrored):
        fit_last_layer(bundle, store.split("train"), seed=0)
    weights = [each.model.get_parameter("fc8.weight") for each in (plain, mirrored)]
    assert not torch.equal(*weights)


def test_the_penalty_is_chosen_on_held_out_images() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    noise = generator.normal(size=(60, 50))
    informative = np.where(labels[:, None] == 1, 3.0, -3.0) + generator.normal(size=(60, 50))
    weak, error = choose_strength(noise[None].astype(np.float32), labels, seed=0)
    strong, none = choose_strength(informative[None].astype(np.float32), labels, seed=0)
    assert weak < strong
    assert none == 0 and error is not None and error > 0.25
    assert choose_strength(noise[None].astype(np.float32), labels, seed=0) == (weak, error)


def test_images_of_a_group_are_held_out_together() -> None:
    """Four copies of each image of noise, in a group: its own copies would make a weak penalty seem best."""
    generator = np.random.default_rng(0)
    labels, groups = np.arange(80) % 2, [f"group {number // 8}" for number in range(80)]
    centers = generator.normal(size=(10, 2, 50))
    copies = np.array([centers[number // 8, number % 2] for number in range(80)])[None].astype(np.float32)
    alone, unaware = choose_strength(copies, labels, seed=0)
    strength, error = choose_strength(copies, labels, seed=0, groups=groups)
    assert strength < alone
    assert unaware == 0 and error is not None and error > 0.2
    assert choose_strength(copies, labels, seed=0, groups=["one"] * 80) == (DEFAULT_STRENGTH, None)


@pytest.mark.parametrize("setting", ["class_weights=balanced", "sampling=balanced"])
def test_small_classes_count_as_much_as_large_ones_if_balanced(store: Store, setting: str) -> None:
    bundle = untrained(store, configured("mirror=no", setting))
    split = store.split("train")
    counts = [(label, 2 + 2 * label) for label in range(3)]
    few = split.part(
        np.concatenate([np.flatnonzero(split.labels == label)[:count] for label, count in counts])
    )
    fitted = fit_last_layer(bundle, few, seed=0)
    with torch.no_grad():
        pixels = torch.stack([torch.from_numpy(read_photo(few, i)) for i in range(len(few))])
        inputs = bundle.preprocessing.test_input(pixels, np.array([[0, 0, 0]]))
        features = bundle.model.forward_features(inputs).numpy()  # pyright: ignore[reportCallIssue]
        found = bundle.model(inputs).softmax(1).numpy()
    standardized = (features - features.mean(0)) / (features.std(0) + 1e-6)
    wanted = LogisticRegression(C=fitted.strength, max_iter=500, class_weight="balanced")
    wanted.fit(standardized, few.labels)
    np.testing.assert_allclose(found, wanted.predict_proba(standardized), atol=1e-4)


def test_many_classes_of_few_images_are_held_out_in_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the images would not have one of each class."""
    monkeypatch.setattr(last_layer, "MANY_IMAGES", 8)
    labels = np.repeat(np.arange(6), 2)
    features = 3 * np.eye(6, dtype=np.float32)[labels]
    assert choose_strength(features[None], labels, seed=0)[1] == 0


def test_a_class_with_one_image_leaves_nothing_to_hold_out() -> None:
    _, error = choose_strength(np.zeros((1, 3, 2), np.float32), np.array([0, 0, 1]), seed=0)
    assert error is None


@pytest.mark.parametrize("model", [LeNet1989(3), LeNet5(3)])
def test_a_last_layer_that_is_not_linear_is_refused(model: torch.nn.Module) -> None:
    with pytest.raises(CommandError, match="is not linear"):
        last_linear_layer(model)


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="fit_last_layer=yes"):
        override(recipes.get("alexnet-small"), ["epochs=0"])
    with pytest.raises(ConfigError, match="cross-entropy"):
        override(recipes.get("lenet-1989"), ["fit_last_layer=yes"])


def test_a_run_of_no_epochs_is_a_classifier_that_can_be_tested_and_resumed(
    store: Store, tmp_path: Path
) -> None:
    lines: list[str] = []
    result = alexnet.train(
        "alexnet-small", store, tmp_path / "run", *SMALL, "epochs=0", device="cpu", log=lines.append
    )
    assert result.step == 0
    assert any("last layer" in line for line in lines)
    (tested,) = alexnet.evaluate(tmp_path / "run", store, views="center", device="cpu")
    assert tested.top1.error == result.errors["top1_error"] <= 1 / 3
    before = find_weights(tmp_path / "run").read_bytes()
    again = alexnet.train(
        "alexnet-small", store, tmp_path / "run", *SMALL, "epochs=0", device="cpu", resume=True
    )
    assert again.errors == result.errors
    assert find_weights(tmp_path / "run").read_bytes() == before


def test_fine_tuning_starts_from_the_fitted_layer(store: Store, tmp_path: Path) -> None:
    settings = [*SMALL, "epochs=1", "lr=1e-9", "training.ema_decay=0.5"]
    tuned = alexnet.train("alexnet-small", store, tmp_path / "tuned", *settings, device="cpu")
    fitted = alexnet.train("alexnet-small", store, tmp_path / "fitted", *SMALL, "epochs=0", device="cpu")
    assert tuned.step == 5
    weights = [
        alexnet.load(tmp_path / name, device="cpu").model.get_parameter("fc8.weight")
        for name in ("tuned", "fitted")
    ]
    torch.testing.assert_close(*weights, atol=1e-4, rtol=1e-3)
    assert fitted.step == 0


def test_weaker_penalties_are_not_tried_once_the_loss_is_clearly_higher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[float] = []
    fit = last_layer._fit

    def recorded(features: Any, labels: Any, strength: float, balanced: bool) -> LogisticRegression:
        tried.append(strength)
        return fit(features, labels, strength, balanced)

    monkeypatch.setattr(last_layer, "_fit", recorded)
    generator = np.random.default_rng(0)
    labels, noise = np.arange(60) % 2, generator.normal(size=(1, 60, 50)).astype(np.float32)
    strength, _ = choose_strength(noise, labels, seed=0)
    assert strength == min(last_layer.STRENGTHS) and max(tried) < max(last_layer.STRENGTHS)


@pytest.mark.parametrize("calls", [1, 4])
def test_a_time_limit_ends_the_fit_and_a_resumed_run_begins_it_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    """While features are computed, or between two logistic regressions."""
    words = ("alexnet-small", store, tmp_path / "run", *SMALL, "epochs=0")
    checks = itertools.count(1)
    with monkeypatch.context() as patch:
        patch.setattr(preemption.Interruption, "wanted", _timed_out_after(checks, calls))
        with pytest.raises(Stopped, match="while the last layer was fitted") as stopped:
            alexnet.train(*words, device="cpu")
    assert stopped.value.timed_out and next(checks) == calls + 1
    assert alexnet.train(*words, device="cpu", resume=True).step == 0


def _timed_out_after(checks: Iterator[int], calls: int) -> Callable[[Any, int], bool]:
    def wanted(self: preemption.Interruption, step: int) -> bool:
        self.reason = "after 1 minutes" if next(checks) >= calls else ""
        return bool(self.reason)

    return wanted
