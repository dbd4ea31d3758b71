"""Views of whole photos at scales: compared with every window alone, in stores and for single photos."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from reference import dense_views as twin
from tiny import predict
from torch import Tensor, nn

from alexnet import distributed
from alexnet.config import RunConfig, override
from alexnet.data.config import DataConfig
from alexnet.data.decode import decode
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.resize import to_whole
from alexnet.data.store import Store
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.evaluation.prediction_cache import multiply_adds_per_photo
from alexnet.evaluation.predictor import Predictor
from alexnet.evaluation.views import VIEWS, is_whole, scaled_views_of
from alexnet.models.bundle import ModelBundle
from alexnet.models.config import ALEXNET_VARIANTS, ModelConfig
from alexnet.models.layers.linear import FullyConnected, slide
from alexnet.models.registry import build
from alexnet.models.summary import summarize
from alexnet.runs.results import ViewSet

from .conftest import CLASSES, SIDE, VAL_PER_CLASS, make_net

CROP, STRIDE, MAP = 63, 4, 15
"""Sizes of the model here: a position every 4 pixels, and every pixel of a crop is read, so that windows are
exact."""
IMAGES = CLASSES * VAL_PER_CLASS + 1
SCALES = (66, 80)
AT = "@66,80"


class Sliding(nn.Module):
    """A model without padding."""

    def __init__(self, map_reduction: str) -> None:
        super().__init__()
        self.map_reduction = map_reduction
        self.conv1 = nn.Conv2d(3, 4, 7, stride=STRIDE)
        self.fc2 = FullyConnected(4 * MAP * MAP, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc2(torch.relu(self.conv1(images / 50)).flatten(1))

    def class_map(self, images: Tensor) -> Tensor:
        return slide(self.fc2, torch.relu(self.conv1(images / 50)), MAP)


WIDTHS = (8, 8, 8, 8, 8, 32, 32)


def sliding(store: Store, map_reduction: str = "mean", **data) -> ModelBundle:
    torch.manual_seed(0)
    settings = RunConfig(recipe="sliding", data=DataConfig(image_size=SIDE, input_size=CROP, **data))
    preprocessing = Preprocessing.from_store(settings.data, store)
    model = Sliding(map_reduction).eval()
    with torch.no_grad():
        model.fc2.weight.mul_(4)  # so that positions differ
    return ModelBundle(model, settings, store.classes, preprocessing, {})


@pytest.fixture(scope="module")
def whole(prepared) -> Store:
    return prepared(shape="whole")


def pictures(store: Store) -> list[np.ndarray]:
    split = store.split("val")
    return [decode(bytes(split.buffer(i))) for i in range(len(split))]


def color_of(net: ModelBundle) -> np.ndarray:
    return net.preprocessing.central_mean().mean(dim=(1, 2)).numpy()


@pytest.mark.parametrize(("map_reduction", "reduced"), [("mean", np.mean), ("max", np.max)])
@pytest.mark.parametrize("normalization", ["channel-mean", "mean-image"])
@pytest.mark.parametrize("shape", ["whole", "square"])
def test_dense_equals_the_mean_over_every_window_alone(
    store, whole, shape, normalization, map_reduction, reduced
) -> None:
    photos = whole if shape == "whole" else store
    net = sliding(store, map_reduction, normalization=normalization)
    found = predict(net, photos, "val", f"dense{AT}").probabilities
    for row, picture in list(zip(found, pictures(photos), strict=True))[::7]:
        rows = [
            twin.dense(net.model, to_whole(picture, scale), color_of(net), CROP, STRIDE, reduced)
            for scale in SCALES
        ]
        np.testing.assert_allclose(row, np.mean(rows, axis=0), atol=1e-5)
    assert found.std() > 0.01


@pytest.mark.parametrize("shape", ["whole", "square"])
def test_multi_crop_and_both_equal_the_reference(store, whole, shape) -> None:
    photos = whole if shape == "whole" else store
    net = sliding(store, normalization="channel-mean")
    crops, both = (
        predict(net, photos, "val", f"{views}{AT}").probabilities
        for views in ("multi-crop", "dense+multi-crop")
    )
    for place, picture in list(enumerate(pictures(photos)))[::7]:
        sized = [to_whole(picture, scale) for scale in SCALES]
        wanted = np.mean([twin.multi_crop(net.model, each, color_of(net), CROP) for each in sized], axis=0)
        slid = [twin.dense(net.model, each, color_of(net), CROP, STRIDE, np.mean) for each in sized]
        np.testing.assert_allclose(crops[place], wanted, atol=1e-5)
        np.testing.assert_allclose(both[place], (wanted + np.mean(slid, axis=0)) / 2, atol=1e-5)


def test_at_the_crop_itself_dense_is_the_mean_of_the_center_and_its_mirror_image(store) -> None:
    net = sliding(store, normalization="channel-mean")
    inputs = net.preprocessing.test_input(torch.zeros(1, 80, 80, 3, dtype=torch.uint8), np.array([[0, 0, 0]]))
    assert net.model.class_map(inputs).shape == (1, CLASSES, 1, 1)
    photo = np.random.default_rng(0).integers(0, 256, (CROP, CROP, 3), dtype=np.uint8)
    classifier = Predictor(net)
    plain, mirrored = (
        classifier.probabilities(each, f"center@{CROP}") for each in (photo, photo[:, ::-1].copy())
    )
    dense = classifier.probabilities(photo, f"dense@{CROP}")
    np.testing.assert_allclose(dense, (plain + mirrored) / 2, atol=1e-6)


@pytest.mark.parametrize("views", VIEWS)
def test_photos_of_any_size_become_the_same_inputs_as_in_a_store_of_whole_ones(
    store, whole, photos, views
) -> None:
    net = sliding(store, normalization="channel-mean")
    files = sorted((photos / "val").rglob("*.JPEG"))
    found = Predictor(net).probabilities(files, views)
    np.testing.assert_allclose(found, predict(net, whole, "val", views).probabilities, atol=0.03)
    alone = Predictor(net, batch_size=1).probabilities(files, views)
    np.testing.assert_allclose(alone, found, atol=1e-5)


@pytest.mark.parametrize("views", VIEWS)
def test_the_size_of_a_batch_changes_rounding_only(store, whole, views) -> None:
    net, counts = sliding(store), list[int]()
    all_at_once = predict(net, whole, "val", f"{views}{AT}", batch_size=10_000)
    few = predict(net, whole, "val", f"{views}{AT}", batch_size=3, progress=counts.append)
    np.testing.assert_allclose(few.probabilities, all_at_once.probabilities, atol=1e-5)
    assert sum(counts) == IMAGES
    assert few.keys.tolist() == [whole.split("val").key(i) for i in range(IMAGES)]


@pytest.mark.parametrize("world_size", [2, 5])
def test_processes_share_photos_of_many_sizes_and_change_no_digit(
    store, whole, monkeypatch, world_size
) -> None:
    net = sliding(store)
    alone = predict(net, whole, "val", "dense", batch_size=4)
    parts: list[list] = []
    monkeypatch.setattr(distributed, "world_size", lambda: world_size)
    monkeypatch.setattr(distributed, "gather_objects", lambda part: parts.append(part) or list(parts))
    for rank in range(world_size):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        with suppress(WorkError):
            together = predict(net, whole, "val", "dense", batch_size=4)
    np.testing.assert_array_equal(together.probabilities, alone.probabilities)
    assert sum(map(len, parts)) == IMAGES


def test_whole_views_have_the_models_own_scales_and_square_ones_its_test_scale(store, whole) -> None:
    net = sliding(store, test_scales=SCALES)
    own, given = (predict(net, whole, "val", views) for views in ("dense", f"dense{AT}"))
    np.testing.assert_array_equal(own.probabilities, given.probabilities)
    assert (own.views, given.views) == (ViewSet("dense"), ViewSet("dense", SCALES))
    assert own.scales.tolist() == given.scales.tolist() == [66, 80]
    assert predict(net, whole, "val", "ten").scales.tolist() == [SIDE]


def test_a_store_of_larger_photos_is_tested_where_scales_are_given(store, prepared, caplog) -> None:
    net, larger = sliding(store), prepared(shape="whole", side=100)
    with pytest.raises(DataError, match="side 100 for 72"):
        predict(net, larger, "val", "dense")
    predict(net, larger, "val", "dense@80,100")
    assert not caplog.records
    predict(net, store, "val", "dense@72,80")
    (record,) = caplog.records
    assert "holds photos of 72 pixels, which are enlarged to 80" in record.getMessage()


def test_a_raw_store_is_resized_as_a_jpeg_one(store, prepared) -> None:
    net = sliding(store, normalization="channel-mean")
    raw, jpeg = (
        predict(net, each, "val", "dense@66").probabilities for each in (prepared(encoding="raw"), store)
    )
    np.testing.assert_allclose(raw, jpeg, atol=0.03)


def test_models_of_warped_or_padded_photos_take_those_squares_only(store) -> None:
    net = sliding(store, normalization="channel-mean")
    photo = np.random.default_rng(0).integers(0, 256, (150, 110, 3), dtype=np.uint8)
    rows = []
    for how in ("crop", "warp"):
        resized = {**net.preprocessing.resized, "resize": how}
        preprocessing = replace(net.preprocessing, resized=resized)
        rows.append(Predictor(replace(net, preprocessing=preprocessing)).probabilities(photo, "dense"))
    square = Image.fromarray(photo).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(Predictor(net).probabilities(square, "dense"), rows[1], atol=1e-3)
    assert not np.allclose(rows[0], rows[1], atol=1e-3)


def test_wrong_combinations_are_one_line(store, whole) -> None:
    net = sliding(store)
    wrong = [
        (make_net(store), "dense", "cannot slide over photos"),
        (make_net(store), "dense+multi-crop", "cannot slide over photos"),
        (
            net,
            "dense@62,80",
            "scale 62 is smaller than the 63 pixels that the model needs: type --scales of 63",
        ),
        (net, "sparse", "no views 'sparse'; choose from: center, ten, multi-crop, dense, dense.multi-crop"),
    ]
    for which, views, message in wrong:
        with pytest.raises(CommandError, match=message):
            predict(which, whole, "val", views)
        with pytest.raises(CommandError, match=message):
            Predictor(which).predict([], views)
    with pytest.raises(CommandError, match="'dense@66,x' are not views such as dense@256,288"):
        Predictor(net).predict([], "dense@66,x")
    with pytest.raises(CommandError, match=r"data\.test_scales must be data\.input_size=63 or more"):
        override(net.config, ["data.test_scales=[62,80]"])


def test_three_of_the_views_use_the_whole_photo() -> None:
    assert [name for name in VIEWS if is_whole(ViewSet(name, (256,)))] == [*VIEWS][2:]


class Sized:
    """A split of whole photos of these sizes (height, width), of five classes."""

    manifest = SimpleNamespace(side=SIDE, shape="whole", classes=range(5))

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        self._sizes = sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def size(self, index: int) -> tuple[int, int]:
        return self._sizes[index][::-1]


@pytest.mark.parametrize("variant", ["caffe", "one-weird-trick"])
def test_multiply_adds_are_those_of_crops_and_of_class_maps(variant) -> None:
    config = RunConfig(
        recipe="alexnet-2012",
        data=DataConfig(image_size=72, input_size=64),
        model=ModelConfig(variant=variant, architecture=replace(ALEXNET_VARIANTS[variant], widths=WIDTHS)),
    )

    def cost(views: str, sizes: list[tuple[int, int]], *scales: int) -> float:
        return multiply_adds_per_photo(
            config, scaled_views_of(config.data, ViewSet(views, scales)), Sized(sizes)
        )

    of_crop = summarize(config, 5).multiply_adds
    assert cost("center", [(72, 72)]) == of_crop
    assert cost("ten", [(90, 72)]) == 10 * of_crop
    assert cost("multi-crop", [(90, 72)], 64, 72) == 100 * of_crop
    # When sliding, the one-tower model multiplies the maps themselves instead of their averages of 6 x 6.
    read = {"caffe": 0, "one-weird-trick": 8 * 32 * (6 * 6 - 1)}[variant]
    assert cost("dense", [(64, 64)], 64) == 2 * (of_crop - read)
    assert cost("dense", [(64, 64), (64, 96)], 64) > cost("dense", [(64, 64)], 64)
    mixed = [cost("dense", [size]) for size in ((72, 72), (72, 108), (72, 108))]
    assert cost("dense", [(72, 72), (72, 108), (72, 108)]) == pytest.approx(np.mean(mixed))
    assert cost("dense+multi-crop", [(72, 90)]) == cost("dense", [(72, 90)]) + 50 * of_crop


def test_the_models_of_the_registry_that_slide(store) -> None:
    settings = ModelConfig(architecture=replace(ALEXNET_VARIANTS["2012"], widths=WIDTHS))
    model = build(settings, CLASSES, 64).eval()
    config = RunConfig(recipe="alexnet-2012", data=DataConfig(image_size=SIDE, input_size=64), model=settings)
    preprocessing = Preprocessing.from_store(config.data, store)
    found = predict(ModelBundle(model, config, store.classes, preprocessing, {}), store, "val", "dense")
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)
