"""OverFeat with boxes: sizes of section 4.2, maps of boxes compared with crops, trained and frozen layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch

from alexnet.config import OptimizerConfig
from alexnet.models.config import OVERFEAT_VARIANTS
from alexnet.models.overfeat import OverFeat, OverFeatLocalizer
from alexnet.models.summary import summarize_model
from alexnet.optim.param_groups import parameter_groups, parameter_layers

NARROW = replace(
    OVERFEAT_VARIANTS["fast"],
    widths=(4, 6, 8, 8, 8, 16, 12),
    initialization="kaiming",
    regression=(10, 6),
)


def narrow(boxes: Literal["per-class", "single"] = "per-class", crop: int = 64) -> OverFeatLocalizer:
    torch.manual_seed(0)
    model = OverFeatLocalizer(replace(NARROW, boxes=boxes), 5, crop)
    for layer in model.regression:
        torch.nn.init.normal_(model.get_parameter(f"{layer}.weight"), std=0.1)
    return model.eval()


def test_the_regression_is_4096_1024_and_four_for_each_class() -> None:
    with torch.device("meta"):
        model, plain = OverFeatLocalizer("fast", 1000, 231), OverFeat("fast", 1000, 231)
    shapes = [tuple(model.get_parameter(f"{layer}.weight").shape) for layer in model.regression]
    assert shapes == [(4096, 1024 * 6 * 6), (1024, 4096), (4000, 1024)]
    added = sum(rows * columns + rows for rows, columns in shapes)
    assert summarize_model(model, 231).parameters == summarize_model(plain, 231).parameters + added


def test_the_accurate_models_regression_reads_its_five_by_five_maps() -> None:
    with torch.device("meta"):
        model = OverFeatLocalizer(replace(OVERFEAT_VARIANTS["accurate"], boxes="single"), 1000, 221)
    assert model.get_parameter("box1.weight").shape == (4096, 1024 * 5 * 5)
    assert model.get_parameter("boxes.weight").shape == (4, 1024)


@pytest.mark.parametrize("kind", ["per-class", "single"])
def test_maps_of_one_crop_are_the_models_outputs(kind: Literal["per-class", "single"]) -> None:
    model, images = narrow(kind), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        logits, boxes = model.class_and_box_maps(images)
        assert boxes.shape == (2, 5, 4, 1, 1)
        assert boxes[..., 0, 0] == pytest.approx(model.forward_boxes(images), abs=1e-5)
        assert logits[..., 0, 0] == pytest.approx(model(images), abs=1e-5)
    assert (boxes[:, 0] == boxes[:, 1]).all() == (kind == "single")


def test_maps_of_larger_images_have_a_box_at_each_place() -> None:
    model, images = narrow(), torch.randn(1, 3, 64 + 32, 64 + 20)
    with torch.no_grad():
        logits, boxes = model.class_and_box_maps(images)
        assert logits == pytest.approx(model.class_map(images))
    assert logits.shape[2:] == boxes.shape[3:] == model.places(96, 84) == (3, 2)


def test_it_classifies_as_the_model_it_is_initialized_from() -> None:
    torch.manual_seed(1)
    plain, model = OverFeat(NARROW, 5, 64).eval(), narrow()
    model.load_state_dict(plain.state_dict(), strict=False)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert model(images) == pytest.approx(plain(images))


def test_the_regression_alone_learns_and_the_last_layer_is_that_of_classes() -> None:
    model = narrow()
    groups = parameter_groups(model, OptimizerConfig())
    assert {group["layer"] for group in groups} == set(model.regression) == {"box1", "box2", "boxes"}
    assert parameter_layers(model)[-1] == "fc8"
    model.train().forward_boxes(torch.randn(2, 3, 64, 64)).sum().backward()
    learning = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert learning == {f"{layer}.{kind}" for layer in model.regression for kind in ("weight", "bias")}


def test_the_initial_prediction_is_the_whole_window() -> None:
    model = OverFeatLocalizer(NARROW, 5, 64)
    boxes = model.forward_boxes(torch.randn(2, 3, 64, 64))
    assert (boxes == torch.tensor([0.0, 0.0, 1.0, 1.0])).all()
