from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny
import torch

from alexnet.data.store import Store
from alexnet.report.plots.preview import draw_preview
from alexnet.training import preview as preview_module
from alexnet.training.preview import preview
from alexnet.training.step import training_batch
from alexnet.training.train_state import build_train_state
from alexnet.training.trainer import training_loader

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "settings",
    [
        ("data.normalization=mean-and-std", "data.images_per_draw=4"),
        ("data.normalization=channel-mean", "data.sampling=balanced", "data.cropping=random-resized"),
        ("data.normalization=range", "data.color_jitter=0.3", "data.pca_lighting=none"),
    ],
)
def test_augmentations_are_those_of_training(
    tiny_store: Store, settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every photo of every training batch that is previewed, too, is the same."""
    inputs: list[torch.Tensor] = []
    augmented = preview_module.augmented

    def recorded(*given: Any, **options: Any) -> Any:
        inputs.append(augmented(*given, **options)[0].clone())
        return inputs[-1], None

    monkeypatch.setattr(preview_module, "augmented", recorded)
    config = tiny.config(*settings)
    found = preview(config, tiny_store, photos=5, epochs=2)
    assert [len(each.augmented) for each in found] == 5 * [2]
    state = build_train_state(config, tiny_store, CPU, steps_per_epoch=6)
    loader = training_loader(config, tiny_store, CPU)
    compared = 0
    for epoch in (0, 1):
        for batch in loader.batches(epoch):
            wanted, _ = training_batch(state, batch, epoch, True)
            for image in wanted:
                compared += any(torch.allclose(image, shown, atol=1e-5) for shown in inputs[epoch])
    assert compared >= 10 if config.data.sampling == "uniform" else compared >= 5


def test_photos_are_stored_ones_of_different_classes(tiny_store: Store) -> None:
    found = preview(tiny.config(), tiny_store, photos=4, epochs=1)
    assert {each.name for each in found[:3]} == {"class0", "class1", "class2"}
    split = tiny_store.split("train")
    stored = {split.buffer(index).tobytes() for index in range(len(split))}
    assert all(each.stored.tobytes() in stored for each in found)
    assert len({each.stored.tobytes() for each in found}) == 4


def test_the_normalization_is_undone(tiny_store: Store) -> None:
    plain = ("data.cropping=center", "data.mirror=no", "data.pca_lighting=none")
    for normalization in ("mean-image", "channel-mean", "mean-and-std", "range"):
        config = tiny.config(*plain, f"data.normalization={normalization}")
        for photo in preview(config, tiny_store, photos=2, epochs=2):
            center = photo.stored[4:68, 4:68]
            assert len(photo.tested) == 1  # without mirroring, models are tested on the center crop
            for shown in (*photo.augmented, *photo.tested):
                assert np.array_equal(shown, center)


def test_five_test_crops_of_a_model_with_mirroring(tiny_store: Store) -> None:
    (photo,) = preview(tiny.config("data.normalization=channel-mean"), tiny_store, photos=1, epochs=1)
    corners = [photo.stored[y : y + 64, x : x + 64] for y, x in ((0, 0), (0, 8), (8, 0), (8, 8), (4, 4))]
    assert all(np.array_equal(*pair) for pair in zip(photo.tested, corners, strict=True))


def test_the_figure_shows_each_picture(tiny_store: Store) -> None:
    found = preview(tiny.config(), tiny_store, photos=2, epochs=3)
    figure = draw_preview(
        [each.name for each in found],
        [each.stored for each in found],
        [each.augmented for each in found],
        [each.tested for each in found],
        "title",
    )
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 2 * (1 + 3 + 5)
    assert np.array_equal(np.asarray(shown[0]), found[0].stored)
