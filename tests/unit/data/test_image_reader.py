"""Training crops at random scales equal crops of the resized photo, and depend on (seed, epoch, image)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import resize as twin

from alexnet.config import ConfigError, override
from alexnet.data.config import DataConfig
from alexnet.data.image_reader import ScaledCrops, read_photo, read_square, scaled_crop, training_reader
from alexnet.data.loader import Batching, Loader
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.randomness import ImageRandomness
from alexnet.data.resize import resized_size
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.recipes import get

SIDE, CROP = 48, 32
DATA = DataConfig(image_size=SIDE, input_size=CROP, scales=(36, SIDE), normalization="channel-mean")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Nine photos of 1 : 1 to 1 : 2, wide and tall, stored whole."""
    folder = tmp_path_factory.mktemp("whole")
    generator = np.random.default_rng(0)
    for number in range(9):
        sizes = (60, 60 + 15 * (number % 5))
        height, width = sizes if number % 2 else sizes[::-1]
        coarse = generator.integers(0, 256, (7, 7, 3), dtype=np.uint8)
        photo = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        for split in ("train", "val"):
            (folder / "photos" / split / f"class{number % 3}").mkdir(parents=True, exist_ok=True)
            photo.save(folder / "photos" / split / f"class{number % 3}" / f"{number}.png")
    made = PrepareSettings(side=SIDE, shape="whole")
    return prepare(open_source(folder / "photos"), folder / "store", made, workers=1)


def crops(
    store: Store,
    epoch: int,
    data: DataConfig = DATA,
    batching: Batching = Batching(4, seed=5),  # noqa: B008 - frozen
    workers: int | None = None,
) -> dict[int, Any]:
    """Each image's crop, by index."""
    split = store.split("train")
    reader = training_reader(split, data, batching.seed)
    loader = Loader(split, batching, reader=reader, workers=workers)
    found: dict[int, Any] = {}
    for batch in loader.batches(epoch):
        found |= dict(zip(batch.indices.tolist(), batch.images.clone(), strict=True))
    return found


def together(parts: list[dict[int, Any]]) -> dict[int, Any]:
    return {index: image for part in parts for index, image in part.items()}


def same(one: dict[int, Any], other: dict[int, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@settings(max_examples=60)
@given(st.data(), st.integers(20, 120), st.integers(20, 120), st.sampled_from([1, 3]))
def test_a_scaled_crop_equals_the_crop_of_the_resized_photo(
    data: Any, height: int, width: int, channels: int
) -> None:
    """On noise, which is the hardest case for rounding; smaller and larger scales than the photo's own."""
    scale = data.draw(st.integers(12, 2 * min(height, width)))
    crop = data.draw(st.integers(8, scale))
    place = data.draw(st.tuples(*2 * [st.floats(0, 1, exclude_max=True)]))
    seed = data.draw(st.integers(0, 2**32 - 1))
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    found = scaled_crop(photo, scale, place, crop)
    whole = twin.to_whole(np.repeat(photo, 4 - channels, axis=2), scale)[:, :, :channels]
    top, left = (int(share * (length - crop + 1)) for share, length in zip(place, whole.shape, strict=False))
    off = np.abs(found.astype(int) - whole[top : top + crop, left : left + crop])
    assert found.shape == (crop, crop, channels)
    assert off.max() <= 3
    assert off.mean() < 0.1


def test_a_crop_at_the_stored_scale_is_not_resized() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(scaled_crop(photo, 40, (0.999, 0.0), 32), photo[8:40, 0:32])


def test_crops_are_a_function_of_seed_epoch_and_image(store: Store) -> None:
    once = crops(store, epoch=3)
    assert len(once) == 9
    assert same(once, crops(store, 3, workers=1))
    parts = [crops(store, 3, batching=Batching(4, seed=5, rank=rank, world_size=3)) for rank in range(3)]
    assert same(once, together(parts))
    assert not any(torch.equal(once[index], image) for index, image in crops(store, 4).items())
    assert not any(
        torch.equal(once[index], image)
        for index, image in crops(store, 3, batching=Batching(4, seed=6)).items()
    )


def test_batches_equal_the_drawn_crops(store: Store) -> None:
    split = store.split("train")
    randomness = ImageRandomness(5, 3, np.arange(9))
    scales = 36 + randomness.integers("scale", SIDE - 36 + 1)
    found = crops(store, epoch=3)
    for index, place in enumerate(randomness.uniform("place", 2)):
        whole = twin.to_whole(read_photo(split, index), int(scales[index]))
        top, left = (place * (np.array(whole.shape[:2]) - CROP + 1)).astype(int)
        off = np.abs(found[index].numpy().astype(int) - whole[top : top + CROP, left : left + CROP])
        assert off.max() <= 3


def test_scales_and_positions_reach_both_ends() -> None:
    randomness = ImageRandomness(0, 0, np.arange(20_000))
    scales = 36 + randomness.integers("scale", SIDE - 36 + 1)
    assert sorted(set(scales.tolist())) == list(range(36, SIDE + 1))
    assert np.bincount(scales - 36).min() > 0.85 * 20_000 / 13
    tops = (randomness.uniform("place", 2)[:, 0] * (SIDE - CROP + 1)).astype(int)
    assert sorted(set(tops.tolist())) == list(range(SIDE - CROP + 1))


def test_images_that_share_a_draw_share_scale_and_position(store: Store) -> None:
    shared = replace(DATA, images_per_draw=9)
    split = store.split("train")
    alike = split.part(np.array([1, 1, 1]))
    squares = np.empty((3, CROP, CROP, 3), np.uint8)
    ScaledCrops(alike, shared, 0)(0, np.arange(3), np.arange(3), squares)
    assert np.array_equal(squares[0], squares[1])
    ScaledCrops(alike, DATA, 0)(0, np.arange(3), np.arange(3), squares)
    assert not np.array_equal(squares[0], squares[1])


def test_training_mirrors_and_normalizes_the_crops(store: Store) -> None:
    preprocessing = Preprocessing.from_store(DATA, store)
    images = torch.stack(list(crops(store, 0).values()))
    randomness = ImageRandomness(5, 0, np.arange(9), np.arange(9))
    inputs = preprocessing.train_input(images, randomness)
    mirrored = randomness.integers("mirror", 2)
    assert set(mirrored.tolist()) == {0, 1}
    for image, model_input, flip in zip(images, inputs, mirrored, strict=True):
        wanted = image.flip(1) if flip else image
        torch.testing.assert_close(model_input.permute(1, 2, 0), wanted - preprocessing.mean)


def test_testing_uses_the_middle_of_the_scales(store: Store) -> None:
    preprocessing = Preprocessing.from_store(DATA, store)
    assert preprocessing.side == DATA.test_scale == 42
    split, square = store.split("val"), np.empty((42, 42, 3), np.uint8)
    for index in range(len(split)):
        read_square(split, index, square)
        off = np.abs(square.astype(int) - twin.to_square(read_photo(split, index), 42))
        assert off.max() <= 3
    assert replace(DATA, scales=(40, 40)).test_scale == 40
    assert replace(DATA, scales=(0, 0)).test_scale == SIDE
    other = Preprocessing.from_store(replace(DATA, scales=(40, 40)), store)
    assert preprocessing.difference(other) == ["test_scale: 42 and 40"]


def test_a_store_of_squares_is_refused(store: Store, tmp_path: Path) -> None:
    source = open_source(store.path.parent / "photos")
    squares = prepare(source, tmp_path / "squares", PrepareSettings(side=SIDE), workers=1)
    with pytest.raises(CommandError, match="prepare one with --shape whole"):
        Preprocessing.from_store(DATA, squares)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["data.scales=[200,256]"],
            r"from data.input_size=224 or more to data.image_size=256 or less: type .*=\[256,256\]",
        ),
        (["data.scales=[256,300]"], "data.image_size=256 or less"),
        (
            ["data.image_size=128", "data.input_size=112"],
            r"data.scales=\[256, 256\] must rise .*=\[128,128\] .*\[0,0\]",
        ),
        (["data.scales=[256,240]"], "must rise"),
        (["data.scales=[256,0]"], "must rise"),
        (["data.cropping=center"], "needs data.cropping=random"),
        (["data.normalization=mean-image"], "data.normalization=channel-mean"),
    ],
)
def test_impossible_scales_are_refused(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(get("vgg-a"), settings)


def test_longer_sides_are_rounded_as_in_the_store() -> None:
    assert resized_size(60, 91, 40) == (40, 61)
    photo = np.zeros((60, 91, 3), np.uint8)
    photo[:, -1] = 255
    assert scaled_crop(photo, 40, (0, 0.999999), 40)[:, -1].min() > 100
