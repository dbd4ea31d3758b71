from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import reference.saliency
import torch
from torch import nn
from torch.nn import functional

import alexnet
from alexnet.analysis.saliency import central_views, grad_cam, last_maps, occlusion
from alexnet.errors import CommandError
from alexnet.evaluation.predictor import Predictor
from alexnet.evaluation.views import positions_of
from alexnet.interop.export import export
from alexnet.models import bundle
from alexnet.models.alexnet import AlexNet
from alexnet.models.config import ALEXNET_VARIANTS
from alexnet.models.lenet import LeNet5, ModernLeNet
from alexnet.runs.run_dir import find_weights


@pytest.fixture
def squares() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 72, 72, 3), dtype=np.uint8)


VARIANTS = ("2012", "paper", "modern", "one-weird-trick")


def classifier_of(store, make_run, model: nn.Module) -> Predictor:
    """The model with the preprocessing of the tiny store."""
    loaded = bundle.load(find_weights(make_run().path), "cpu", needs_weights=True)
    return Predictor(replace(loaded, model=model))


def small(variant: str) -> AlexNet:
    """A model whose last maps are 5 x 5."""
    torch.manual_seed(1)
    narrow = replace(ALEXNET_VARIANTS[variant], widths=(4, 8, 8, 8, 4, 12, 12), initialization="kaiming")
    return AlexNet(narrow, num_classes=3, crop=64).eval()


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_reference_by_finite_differences_gives_the_same_map(store, make_run, squares, variant) -> None:
    model = small(variant)
    classifier = classifier_of(store, make_run, model)
    heat = grad_cam(classifier, squares, [2, 0, 1])
    assert last_maps(classifier) == "conv5"
    positions = positions_of("center", classifier.preprocessing)
    inputs = classifier.preprocessing.test_input(torch.from_numpy(squares), positions).double()
    double = model.double()
    for row, (view, label) in enumerate(zip(inputs, (2, 0, 1), strict=True)):
        coarse = reference.saliency.grad_cam(double, view[None], label, "conv5")
        fine = functional.interpolate(torch.from_numpy(coarse)[None, None], (64, 64), mode="bilinear")[0, 0]
        expected = (fine / fine.max() if fine.max() > 0 else fine).numpy()
        np.testing.assert_allclose(heat[row], expected, atol=2e-3)
    assert heat.max() == 1
    model.float()


def test_a_model_that_uses_one_position_has_its_map_there(store, make_run, squares) -> None:
    class OneCorner(nn.Module):
        layer_names = ("conv1", "logits")

        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 1, 8, stride=8)

        def activations(self, images):
            maps = self.conv1(images)
            corner = maps[:, :, 0, -1]
            return {"conv1": maps.abs(), "logits": torch.cat([corner, -corner, 0 * corner], 1)}

        def forward(self, images):
            return self.activations(images)["logits"]

    torch.manual_seed(0)
    classifier = classifier_of(store, make_run, OneCorner().eval())
    drops = occlusion(classifier, squares, [0, 1, 2], covered=8, step=8)
    assert drops.shape == (3, 8, 8)
    mask = np.ones((8, 8), bool)
    mask[0, -1] = False
    assert np.abs(drops[:, mask]).max() < 1e-6
    assert (np.abs(drops[:2, 0, -1]) > 1e-3).all()


def test_a_reference_that_covers_each_position_gives_the_same_drops(store, make_run, squares) -> None:
    classifier = classifier_of(store, make_run, small("2012"))
    drops = occlusion(classifier, squares, [0, 1, 2], covered=20, step=15)
    views = central_views(classifier.preprocessing, squares)
    positions = positions_of("center", classifier.preprocessing)
    inputs = classifier.preprocessing.test_input(torch.from_numpy(squares), positions)
    assert views.shape == (3, 64, 64, 3)
    for row, label in enumerate((0, 1, 2)):

        def probability(view: np.ndarray, label: int = label) -> float:
            with torch.no_grad():
                return float(classifier.model(torch.from_numpy(view)[None]).softmax(1)[0, label])

        expected = reference.saliency.occlusion(probability, inputs[row].numpy(), 20, 15)
        np.testing.assert_allclose(drops[row], expected, atol=1e-5)


@pytest.mark.parametrize(("net", "layer"), [(LeNet5, "S4"), (ModernLeNet, "C3")])
def test_lenets_have_maps_too(store, make_run, squares, net, layer) -> None:
    torch.manual_seed(0)
    classifier = classifier_of(store, make_run, net(3, 64, 3).eval())
    assert last_maps(classifier) == layer
    heat = grad_cam(classifier, squares, [0, 1, 2])
    assert heat.shape == (3, 64, 64)
    assert 0 <= heat.min() <= heat.max() <= 1


def test_weights_and_gradients_are_unchanged(make_run, squares) -> None:
    classifier = alexnet.load(make_run().path, "cpu")
    before = classifier.probabilities(squares)
    grad_cam(classifier, squares, [0, 1, 2])
    assert all(parameter.grad is None for parameter in classifier.model.parameters())
    assert not any(module._forward_hooks for module in classifier.model.modules())
    np.testing.assert_array_equal(classifier.probabilities(squares), before)


def test_an_onnx_file_has_occlusion_maps_but_no_grad_cam(make_run, squares, tmp_path) -> None:
    run = make_run()
    export(run.path, tmp_path / "net.onnx")
    closed, opened = alexnet.load(tmp_path / "net.onnx"), alexnet.load(run.path, "cpu")
    np.testing.assert_allclose(
        *(occlusion(each, squares, [0, 1, 2], step=30) for each in (closed, opened)), atol=1e-4
    )
    with pytest.raises(CommandError, match="no feature maps"):
        grad_cam(closed, squares, [0, 1, 2])


def test_wrong_arguments_are_refused(make_run, squares) -> None:
    classifier = alexnet.load(make_run().path, "cpu")
    for layer, message in (("conv9", "no layer"), ("fc7", "no feature maps"), ("pool5", "is not a module")):
        with pytest.raises(CommandError, match=message):
            grad_cam(classifier, squares, [0, 1, 2], layer)
    with pytest.raises(CommandError, match="one of 3 classes"):
        grad_cam(classifier, squares, [0, 1, 3])
    with pytest.raises(CommandError, match="does not fit into 64"):
        occlusion(classifier, squares, [0, 1, 2], covered=65)
    assert grad_cam(classifier, squares[:0], []).shape == (0, 64, 64)
