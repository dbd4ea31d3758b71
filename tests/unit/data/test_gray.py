"""Gray images from IDX files and photos to the model's input, and photos for prediction."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reference import statistics as statistics_twin
from unit.data import source_makers as make
from unit.data.memory_source import examples, photo, png, source

from alexnet.config import ConfigError, override
from alexnet.data.config import DataConfig
from alexnet.data.crops import center, ten
from alexnet.data.decode import decode, in_channels
from alexnet.data.loader import Batching, Loader
from alexnet.data.manifest import MANIFEST_FILE, PrepareSettings
from alexnet.data.photos import pixels_of
from alexnet.data.prepare import prepare
from alexnet.data.preprocessing import Preprocessing, enlargement, to_stored_square
from alexnet.data.randomness import ImageRandomness
from alexnet.data.sources import Box, open_source
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError
from alexnet.recipes import get

DIGITS = DataConfig(
    image_size=32, input_size=32, channels=1, cropping="center", mirror=False, normalization="range"
)


@pytest.fixture
def digits(tmp_path: Path) -> Store:
    opened = open_source(make.idx(tmp_path / "digits", compress=True))
    return prepare(opened, tmp_path / "store", opened.settings, workers=1)


def squares(store: Store, split: str = "train") -> np.ndarray:
    batches = Loader(store.split(split), Batching(4, order="sequential"), workers=1).batches()
    return np.concatenate([batch.images.numpy() for batch in batches])


def test_digits_are_stored_gray_raw_and_padded_by_default(digits: Store) -> None:
    manifest = digits.manifest
    assert (manifest.channels, manifest.side, manifest.encoding, manifest.resize) == (1, 32, "raw", "pad")
    assert manifest.resized["picture"] == "7"
    assert manifest.odd == {}
    stored = squares(digits)
    assert stored.shape == (9, 32, 32, 1) and stored.dtype == np.uint8
    found, _ = make.idx_arrays(9, seed=9)
    # 5 x 7 in 32 x 32: half a pixel down and right of the middle.
    np.testing.assert_array_equal(stored[:, 14:19, 13:20, 0], found)
    assert stored.sum(dtype=np.int64) == found.sum(dtype=np.int64)


def test_another_side_is_resized_to_and_choices_override_defaults(tmp_path: Path) -> None:
    usual = open_source(make.idx(tmp_path / "digits", compress=False)).settings
    assert usual.with_choices(side=16) == PrepareSettings(side=16, resize="crop", encoding="raw", channels=1)
    assert usual.with_choices(side=48, resize="pad").resize == "pad"
    assert usual.with_choices(side=None, channels=3, encoding="jpeg") == PrepareSettings(
        side=32, resize="pad", encoding="jpeg", channels=3
    )


@pytest.mark.parametrize(("encoding", "shape"), [("raw", "square"), ("jpeg", "square"), ("jpeg", "whole")])
def test_color_photos_become_pillows_luma(tmp_path: Path, encoding: str, shape: str) -> None:
    settings = PrepareSettings(side=24, channels=1, encoding=encoding, shape=shape, quality=100)  # pyright: ignore
    photos = source(train=examples(6))
    store = prepare(photos, tmp_path / "store", settings, workers=1)
    stored = squares(store)
    assert stored.shape == (6, 24, 24, 1)
    exact = prepare(photos, tmp_path / "raw", PrepareSettings(side=24, channels=1, encoding="raw"), workers=1)
    np.testing.assert_allclose(
        stored.astype(int), squares(exact).astype(int), atol=2 if encoding == "jpeg" else 0
    )


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P"])
def test_luma_equals_pillow(mode: str) -> None:
    image = Image.fromarray(photo(3)).convert(mode)
    file = io.BytesIO()
    image.save(file, "TIFF")
    wanted = np.asarray(image.convert("RGB").convert("L"))
    np.testing.assert_array_equal(in_channels(decode(file.getvalue()), 1)[:, :, 0], wanted)
    if mode == "L":
        np.testing.assert_array_equal(wanted, np.asarray(image))


def test_gray_pixels_keep_their_luma() -> None:
    grays = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    np.testing.assert_array_equal(in_channels(grays, 1)[0, :, 0], np.arange(256))


def test_statistics_are_of_one_channel(digits: Store) -> None:
    stored = squares(digits)
    np.testing.assert_allclose(digits.mean_image(), statistics_twin.mean_image(stored), rtol=1e-6)
    assert digits.mean_image().shape == (32, 32, 1)
    np.testing.assert_allclose(digits.channel_mean, [stored.mean()], rtol=1e-12)
    np.testing.assert_allclose(digits.color_covariance, [[stored.var()]], rtol=1e-12)
    assert digits.manifest.color_eigenvectors == ((1.0,),)


def test_a_manifest_without_channels_is_of_color(digits: Store) -> None:
    file = digits.path / MANIFEST_FILE
    values = json.loads(file.read_text())
    del values["channels"], values["picture"], values["checksum"]
    file.write_text(json.dumps(values))
    assert Store.open(digits.path).channels == 3


def test_a_range_maps_black_and_white_to_its_ends(digits: Store) -> None:
    for low, high in ((-0.1, 1.175), (-1.0, 1.0), (0.0, 1.0)):
        preprocessing = Preprocessing.from_store(dataclasses.replace(DIGITS, range=(low, high)), digits)
        levels = torch.arange(256, dtype=torch.uint8).reshape(-1, 1, 1, 1).expand(-1, 32, 32, 1).contiguous()
        inputs = preprocessing.test_input(levels, center(32, 32))
        assert inputs.shape == (256, 1, 32, 32)
        np.testing.assert_allclose(inputs[:, 0, 5, 7].numpy(), np.linspace(low, high, 256), atol=1e-6)


def test_training_input_crops_and_state_of_one_channel(digits: Store) -> None:
    data = dataclasses.replace(
        DIGITS, input_size=28, cropping="random", normalization="mean-image", mirror=True
    )
    preprocessing = Preprocessing.from_store(data, digits)
    images = torch.from_numpy(squares(digits))
    randomness = ImageRandomness(0, 0, np.arange(9))
    assert preprocessing.train_input(images, randomness).shape == (9, 1, 28, 28)
    views = preprocessing.test_input(images, ten(32, 28))
    assert views.shape == (90, 1, 28, 28)
    levels = images[0, :28, :28, 0].float() - preprocessing.mean[2:30, 2:30, 0]
    np.testing.assert_allclose(views[0, 0], levels)
    values, tensors = preprocessing.state()
    again = Preprocessing.from_state(json.loads(json.dumps(values)), tensors)
    assert (again.channels, again.difference(preprocessing)) == ("L", [])
    resized = dataclasses.replace(data, cropping="random-resized", random_erasing=1.0)
    assert Preprocessing.from_store(resized, digits).train_input(images, randomness).shape == (9, 1, 28, 28)


def test_ranges_that_differ_are_named(digits: Store) -> None:
    first = Preprocessing.from_store(DIGITS, digits)
    second = Preprocessing.from_store(dataclasses.replace(DIGITS, range=(-0.2, 2.35)), digits)
    assert first.difference(second) == [
        "range: (-0.1, 1.175) and (-0.2, 2.35)"
    ]  # 0 where it was, twice the rest


def test_a_users_digit_is_prepared_like_the_training_images(digits: Store) -> None:
    preprocessing = Preprocessing.from_store(DIGITS, digits)
    found, _ = make.idx_arrays(9, seed=9)
    for digit in (found[0], found[0][:, :, None], torch.from_numpy(found[0]), Image.fromarray(found[0])):
        np.testing.assert_array_equal(to_stored_square(pixels_of(digit), preprocessing), squares(digits)[0])
        assert enlargement(pixels_of(digit), preprocessing) == 1  # a border is laid around it
    whole = squares(digits)[3]
    np.testing.assert_array_equal(to_stored_square(pixels_of(whole), preprocessing), whole)
    large = to_stored_square(np.full((60, 90, 3), 200, np.uint8), preprocessing)
    assert large.shape == (32, 32, 1)
    ink = np.argwhere(large[:, :, 0])
    assert (ink.max(0) - ink.min(0) + 1).tolist() == [5, 7] and large.max() == 200


def test_color_and_gray_do_not_mix(digits: Store, tmp_path: Path) -> None:
    with pytest.raises(
        CommandError,
        match=r"holds gray images.*--channels 3, type data.channels=1 data.pca_lighting=none for",
    ):
        Preprocessing.from_store(DataConfig(image_size=32, input_size=28), digits)
    with pytest.raises(
        CommandError, match=r"--channels 3 --side 256.*=none data.image_size=32 data.input_size=32 for"
    ):
        Preprocessing.from_store(DataConfig(), digits)
    photos = prepare(source(train=examples(4)), tmp_path / "photos", PrepareSettings(side=32), workers=1)
    with pytest.raises(CommandError, match=r"color images.*--channels 1.*data\.channels=3"):
        Preprocessing.from_store(DIGITS, photos)


@pytest.mark.parametrize("setting", ["data.pca_lighting=source", "data.color_jitter=0.2"])
def test_gray_images_have_no_colors_to_change(setting: str) -> None:
    plain = ["data.channels=1", "data.pca_lighting=none", "data.color_jitter=0"]
    assert override(get("alexnet-2012"), plain).data.channels == 1
    with pytest.raises(ConfigError, match=r"no colors to change: type data\.pca_lighting=none"):
        override(get("alexnet-2012"), [*plain, setting])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("data.channels=2", "must be 3"),
        ("data.range=[1,0]", "must be ascending"),
        ("data.max_images=-1", "at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        override(get("alexnet-2012"), [setting])


def test_an_image_too_large_to_be_padded_is_an_error_and_leaves_the_folder_free(tmp_path: Path) -> None:
    opened = open_source(make.idx(tmp_path / "digits", compress=False))
    big = make.idx_bytes(np.arange(9 * 20 * 18).reshape(9, 20, 18).astype(np.uint8))
    (tmp_path / "digits" / "train-images-idx3-ubyte").write_bytes(big)
    opened = open_source(tmp_path / "digits")
    small, large = (opened.settings.with_choices(side=side, resize="pad") for side in (16, 20))
    message = "train/00000: 18x20 pixels do not fit into a square of 16: type --side 20 or more"
    with pytest.raises(DataError, match=re.escape(message)):
        prepare(opened, tmp_path / "store", small, workers=1)
    assert prepare(opened, tmp_path / "store", large, workers=1).side == 20


def test_boxes_move_with_a_padded_image(tmp_path: Path) -> None:
    plain = photo(0, 21, 11)
    marked = dataclasses.replace(examples(1)[0], image=png(plain), boxes=(Box(0, 1 / 21, 0.0, 1.0, 1.0),))
    settings = PrepareSettings(side=32, resize="pad", encoding="raw")
    store = prepare(source(train=[marked, *examples(1)[:0]], val=[]), tmp_path / "store", settings, workers=1)
    (box,) = store.split("train").boxes(0)
    left, top, right, bottom = (round(32 * edge) for edge in (box.x0, box.y0, box.x1, box.y1))
    np.testing.assert_array_equal(squares(store)[0, top:bottom, left:right], plain[:, 1:])


@pytest.mark.data
def test_mnist_with_default_settings(shared_data: Path, tmp_path: Path) -> None:
    opened = open_source(shared_data / "mnist")
    val = dataclasses.replace(opened, splits={"train": opened.splits["val"]})
    store = prepare(val, tmp_path / "store", opened.settings, workers=1)
    assert (len(store), store.side, store.channels) == (10_000, 32, 1)
    assert [each.name for each in store.classes] == list("0123456789")
    assert store.manifest.resized["picture"] == "28"
    images = torch.from_numpy(squares(store))
    inputs = Preprocessing.from_store(DIGITS, store).test_input(images, center(32, 32))
    assert abs(float(inputs.mean())) < 0.05  # LeCun 1998, section II.B: "roughly 0"
    assert abs(float(inputs[:, :, 2:30, 2:30].var()) - 0.155) < 0.01  # there "roughly 1", which it is not
