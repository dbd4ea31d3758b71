from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import reference.augment as twin
import torch

from alexnet.config import ConfigError, RunConfig, override
from alexnet.data.config import DataConfig
from alexnet.data.crops import center, ten
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.transforms import pca_lighting, random_positions
from alexnet.errors import CommandError

SIDE, CROP, COUNT = 24, 16, 6
DATA = DataConfig(image_size=SIDE, input_size=CROP)
INDICES = np.array([3, 8, 1, 90, 1_000_000, 7])
RANDOMNESS = ImageRandomness(11, 2, INDICES, np.arange(COUNT))


def fake_store(side: int = SIDE, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    mean_image = (100 + 50 * rng.random((side, side, 3))).astype(np.float32)
    covariance = np.array([[4900.0, 4500, 4100], [4500, 4800, 4600], [4100, 4600, 5200]])
    values, vectors = np.linalg.eigh(covariance)
    manifest = SimpleNamespace(
        channels=3,
        channel_mean=(120.5, 115.25, 101.0),
        color_covariance=covariance.tolist(),
        color_eigenvalues=values[::-1].tolist(),
        color_eigenvectors=vectors.T[::-1].tolist(),
        resized={"shape": "square", "resize": "crop", "resampling": "bicubic"},
    )
    return SimpleNamespace(side=side, manifest=manifest, mean_image=lambda: mean_image)


def photos() -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (COUNT, SIDE, SIDE, 3), dtype=torch.uint8, generator=generator)


def wanted_inputs(positions: Any, mean: Any, shifts: Any, divisor: Any) -> np.ndarray:
    rows = zip(photos().numpy(), positions, shifts, strict=True)
    return np.stack([twin.training_input(image, at, CROP, mean, shift, divisor) for image, at, shift in rows])


@pytest.mark.parametrize("strength", [0.1, 0.3])
def test_training_input_equals_the_steps_of_the_2012_source(strength: float) -> None:
    store = fake_store()
    data = replace(DATA, pca_lighting="source", pca_lighting_strength=strength, images_per_draw=4)
    preprocessing = Preprocessing.from_store(data, store)
    positions = random_positions(SIDE, CROP, RANDOMNESS.shared(4), mirror=True)[:, 0]
    assert len(np.unique(positions, axis=0)) == 2
    manifest = store.manifest
    values, vectors = np.array(manifest.color_eigenvalues), np.array(manifest.color_eigenvectors)
    shifts = pca_lighting(RANDOMNESS, values, vectors, strength, "source")
    mean = store.mean_image().astype(np.float64)
    noisy = preprocessing.train_input(photos(), RANDOMNESS)
    np.testing.assert_allclose(noisy.numpy(), wanted_inputs(positions, mean, shifts, 1 + strength), atol=1e-4)
    plain = preprocessing.train_input(photos(), RANDOMNESS, lighting=False)
    np.testing.assert_allclose(plain.numpy(), wanted_inputs(positions, mean, 0 * shifts, 1.0), atol=1e-4)


def test_pca_lighting_of_the_paper_is_added_without_a_divisor() -> None:
    store = fake_store()
    preprocessing = Preprocessing.from_store(replace(DATA, pca_lighting="paper"), store)
    difference = preprocessing.train_input(photos(), RANDOMNESS) - preprocessing.train_input(
        photos(), RANDOMNESS, lighting=False
    )
    values, vectors = np.array(store.manifest.color_eigenvalues), np.array(store.manifest.color_eigenvectors)
    shifts = pca_lighting(RANDOMNESS, values, vectors, 0.1, "paper")
    everywhere = np.broadcast_to(shifts[:, :, None, None], difference.shape)
    np.testing.assert_allclose(difference.numpy(), everywhere, atol=1e-4)


@pytest.mark.parametrize("normalization", ["channel-mean", "mean-and-std"])
def test_means_and_deviations_of_channels(normalization: str) -> None:
    store = fake_store()
    preprocessing = Preprocessing.from_store(replace(DATA, normalization=normalization), store)  # type: ignore[arg-type]
    divisor = np.sqrt(np.diag(store.manifest.color_covariance)) if normalization == "mean-and-std" else 1.0
    mean = np.broadcast_to(store.manifest.channel_mean, (SIDE, SIDE, 3))
    positions = random_positions(SIDE, CROP, RANDOMNESS, mirror=True)[:, 0]
    wanted = wanted_inputs(positions, mean, np.zeros((COUNT, 3)), divisor)
    np.testing.assert_allclose(preprocessing.train_input(photos(), RANDOMNESS).numpy(), wanted, atol=1e-4)


def test_the_mean_at_the_crops_position_moves_and_mirrors_with_it() -> None:
    store = fake_store()
    preprocessing = Preprocessing.from_store(replace(DATA, mean_position="crop"), store)
    image_minus_mean = photos().float() - torch.from_numpy(store.mean_image())
    positions = random_positions(SIDE, CROP, RANDOMNESS, mirror=True)[:, 0]
    for inputs, image, (y, x, mirrored) in zip(
        preprocessing.train_input(photos(), RANDOMNESS), image_minus_mean, positions, strict=True
    ):
        square = image[y : y + CROP, x : x + CROP]
        torch.testing.assert_close(inputs, (square.flip(1) if mirrored else square).permute(2, 0, 1))
    views = preprocessing.test_input(photos(), ten(SIDE, CROP)).unflatten(0, (COUNT, 10))
    torch.testing.assert_close(views[:, 1], image_minus_mean[:, :CROP, -CROP:].permute(0, 3, 1, 2))
    torch.testing.assert_close(views[:, 6], views[:, 1].flip(3))


def test_ten_crops_of_an_image_are_adjacent_and_share_the_central_mean() -> None:
    store = fake_store()
    preprocessing = Preprocessing.from_store(DATA, store)
    views = preprocessing.test_input(photos(), ten(SIDE, CROP))
    assert views.shape == (COUNT * 10, 3, CROP, CROP)
    mean = store.mean_image().astype(np.float64)
    for image, of_image in zip(photos().numpy(), views.unflatten(0, (COUNT, 10)), strict=True):
        for place, view in zip(ten(SIDE, CROP), of_image, strict=True):
            wanted = twin.training_input(image, tuple(place), CROP, mean, np.zeros(3), 1.0)
            np.testing.assert_allclose(view.numpy(), wanted, atol=1e-4)


def larger() -> torch.Tensor:
    """Photos of other sizes than the stored square."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (COUNT, 20, 31, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("mean_position", ["center", "crop"])
@pytest.mark.parametrize("normalization", ["mean-image", "mean-and-std"])
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_one_color_is_subtracted_from_whole_photos(
    normalization: Any, mean_position: Any, channels: Any
) -> None:
    data = replace(DATA, normalization=normalization, mean_position=mean_position)
    preprocessing = replace(Preprocessing.from_store(data, fake_store()), channels=channels)
    inputs = preprocessing.whole_input(larger())
    assert inputs.shape == (COUNT, 3, 20, 31)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    ordered = larger().float().flip(3) if channels == "BGR" else larger().float()
    color = preprocessing.central_mean().mean(dim=(1, 2))
    torch.testing.assert_close(inputs, ((ordered - color) / preprocessing.divisor).permute(0, 3, 1, 2))


def test_crops_of_photos_of_other_sizes_use_the_central_mean() -> None:
    preprocessing = Preprocessing.from_store(replace(DATA, mean_position="crop"), fake_store())
    inputs = preprocessing.test_input(larger(), np.array([[4, 15, 0], [4, 15, 1]])).unflatten(0, (COUNT, 2))
    wanted = larger()[:, 4:, 15:].float().permute(0, 3, 1, 2)
    torch.testing.assert_close(inputs[:, 0], wanted - preprocessing.central_mean())
    torch.testing.assert_close(inputs[:, 1], wanted.flip(3) - preprocessing.central_mean())


@pytest.mark.parametrize("cropping", ["random", "random-resized", "center"])
def test_inputs_are_channels_last_and_depend_on_the_image_alone(cropping: str) -> None:
    modern = replace(DATA, color_jitter=0.4, random_erasing=0.5, normalization="mean-and-std")
    data = replace(modern, cropping=cropping, pca_lighting="source")  # type: ignore[arg-type]
    preprocessing = Preprocessing.from_store(data, fake_store())
    together = preprocessing.train_input(photos(), RANDOMNESS)
    assert together.dtype == torch.float32
    assert together.is_contiguous(memory_format=torch.channels_last)
    for number in range(COUNT):
        alone = preprocessing.train_input(
            photos()[number : number + 1], ImageRandomness(11, 2, INDICES[number : number + 1])
        )
        assert torch.equal(alone[0], together[number])
    assert torch.equal(together, preprocessing.train_input(photos(), RANDOMNESS))
    other_epoch = preprocessing.train_input(photos(), ImageRandomness(11, 3, INDICES))
    assert not torch.equal(together, other_epoch)


def test_center_cropping_without_mirror_is_the_central_test_crop() -> None:
    preprocessing = Preprocessing.from_store(replace(DATA, cropping="center", mirror=False), fake_store())
    inputs = preprocessing.train_input(photos(), RANDOMNESS)
    assert torch.equal(inputs, preprocessing.test_input(photos(), center(SIDE, CROP)))


def test_erased_rectangles_have_the_mean() -> None:
    data = replace(DATA, random_erasing=1.0)
    erased = Preprocessing.from_store(data, fake_store()).train_input(photos(), RANDOMNESS)
    plain = Preprocessing.from_store(DATA, fake_store()).train_input(photos(), RANDOMNESS)
    changed = erased != plain
    assert changed.any(dim=(1, 2, 3)).all()
    assert torch.all(erased[changed] == 0)


def test_jitter_is_of_colors_before_the_mean() -> None:
    gray = torch.full((1, SIDE, SIDE, 3), 100, dtype=torch.uint8)
    data = replace(DATA, color_jitter=0.5, normalization="channel-mean")
    one = ImageRandomness(0, 0, [5])
    inputs = Preprocessing.from_store(data, fake_store()).train_input(gray, one)
    brightness = 1 + 0.5 * (2 * one.uniform("color jitter", 3)[0, 0] - 1)
    wanted = 100 * brightness - np.array([120.5, 115.25, 101.0])
    np.testing.assert_allclose(inputs.mean(dim=(0, 2, 3)).numpy(), wanted, atol=1e-3)


def test_inputs_in_use_are_not_overwritten() -> None:
    preprocessing = Preprocessing.from_store(DATA, fake_store())
    first = preprocessing.train_input(photos(), RANDOMNESS)
    copy = first.clone()
    preprocessing.train_input(255 - photos(), RANDOMNESS)
    assert torch.equal(first, copy)


def test_channels_of_a_bgr_model_are_swapped() -> None:
    rgb = Preprocessing.from_store(replace(DATA, normalization="channel-mean"), fake_store())
    bgr = replace(rgb, mean=rgb.mean.flip(0), channels="BGR")
    middle = center(SIDE, CROP)
    assert torch.equal(bgr.test_input(photos(), middle), rgb.test_input(photos(), middle).flip(1))


def test_state_round_trips_through_json() -> None:
    preprocessing = Preprocessing.from_store(
        replace(DATA, pca_lighting="source", resized_area=(0.3, 1.0)), fake_store()
    )
    values, tensors = preprocessing.state()
    again = Preprocessing.from_state(json.loads(json.dumps(values)), tensors)
    assert again.data == preprocessing.data
    assert again.difference(preprocessing) == []
    assert torch.equal(
        again.train_input(photos(), RANDOMNESS), preprocessing.train_input(photos(), RANDOMNESS)
    )


def test_differences_are_named_and_training_options_are_none() -> None:
    preprocessing = Preprocessing.from_store(DATA, fake_store())
    trained_otherwise = Preprocessing.from_store(
        replace(DATA, mirror=False, pca_lighting="paper"), fake_store()
    )
    assert preprocessing.difference(trained_otherwise) == []
    warped = replace(preprocessing, resized={**preprocessing.resized, "resize": "warp"}, channels="BGR")
    assert preprocessing.difference(warped) == ["resize: crop and warp", "channels: RGB and BGR"]
    (line,) = preprocessing.difference(Preprocessing.from_store(DATA, fake_store(seed=1)))
    assert line.startswith("mean: up to ") and line.endswith("gray levels apart")
    (first, second) = preprocessing.difference(
        Preprocessing.from_store(replace(DATA, normalization="channel-mean"), fake_store())
    )
    assert first == "normalization: mean-image and channel-mean"
    assert second == "mean: shape (24, 24, 3) and (3,)"


def test_a_store_of_another_side_is_refused() -> None:
    with pytest.raises(CommandError, match=r"needs 24: .*--side 24, or type data\.image_size=32"):
        Preprocessing.from_store(DATA, fake_store(side=32))
    with pytest.raises(CommandError, match=r"data\.mean_position=center"):
        Preprocessing.from_store(replace(DATA, mean_position="crop", cropping="random-resized"), fake_store())


def test_colors_are_normalized_by_the_configured_numbers_if_there_are_some() -> None:
    data = replace(
        DATA, normalization="mean-and-std", color_mean=(100.0, 110.0, 120.0), color_std=(50.0, 60.0, 70.0)
    )
    inputs = Preprocessing.from_store(data, fake_store()).test_input(photos(), center(SIDE, CROP))
    middle = photos()[:, 4:20, 4:20].double()
    wanted = (middle - torch.tensor(data.color_mean)) / torch.tensor(data.color_std)
    assert torch.allclose(inputs.permute(0, 2, 3, 1).double(), wanted, atol=1e-5)
    with pytest.raises(ConfigError, match=r"data\.color_std must be 3 numbers of at least 1"):
        override(RunConfig(""), ["normalization=mean-and-std", "color_std=[1,0,1]"])
    with pytest.raises(ConfigError, match=r"data\.color_mean must be 3 numbers"):
        override(RunConfig(""), ["normalization=mean-and-std", "color_mean=[1,2]"])


def test_a_test_size_resizes_tests_only() -> None:
    data = replace(DATA, normalization="channel-mean", cropping="random-resized", test_size=20)
    preprocessing = Preprocessing.from_store(data, fake_store())
    assert (preprocessing.side, preprocessing.crop) == (20, CROP)
    assert preprocessing.train_input(photos(), RANDOMNESS).shape == (COUNT, 3, CROP, CROP)
    with pytest.raises(ConfigError, match=r"data\.test_size=15 must be from data\.input_size=16"):
        override(RunConfig("", data=replace(data, test_size=0)), ["test_size=15"])
    with pytest.raises(ConfigError, match=r"data\.test_size cannot use the mean image"):
        override(RunConfig("", data=DATA), ["test_size=20"])
