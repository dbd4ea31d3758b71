"""The constants of the LeNets' recipes that their papers give."""

from __future__ import annotations

import pytest

from alexnet import published, recipes


def test_1989_receives_16_pixels_from_minus_1_to_1_and_as_many_digits_as_often() -> None:
    config = recipes.get("lenet-1989")
    assert (config.data.image_size, config.data.input_size, config.data.channels) == (16, 16, 1)
    assert (config.data.normalization, config.data.range) == ("range", (-1, 1))
    assert config.data.max_images == published.lenet.LENET_1989_TRAINING_IMAGES == 7_291
    assert config.schedule.epochs == published.lenet.LENET_1989_EPOCHS == 23
    assert config.training.loss == "squared-error"


def test_lenet_5_receives_32_pixels_with_paper_at_minus_0_1_and_ink_at_1_175() -> None:
    config = recipes.get("lenet-5")
    assert (config.data.image_size, config.data.input_size, config.data.channels) == (32, 32, 1)
    assert (config.data.normalization, config.data.range) == ("range", (-0.1, 1.175))
    assert config.training.loss == "rbf"


@pytest.mark.parametrize("name", ["lenet-1989", "lenet-5", "lenet-modern"])
def test_digits_are_never_mirrored(name: str) -> None:
    config = recipes.get(name)
    assert not config.data.mirror
    assert config.data.pca_lighting == "none"


@pytest.mark.parametrize(("name", "error"), [("lenet-1989", 0.05), ("lenet-5", 0.0095)])
def test_what_was_published_has_a_row_for_the_recipe(name: str, error: float) -> None:
    (row,) = published.rows_of(name)
    assert (row.top1, row.top5) == (error, None)
