"""`alexnet.create_model` with trained weights, and weights of torchvision's models."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

import alexnet
from alexnet import recipes
from alexnet.data.classes import Class
from alexnet.data.preprocessing import Preprocessing
from alexnet.errors import CommandError, DataError
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.convert import TORCHVISION_LAYERS
from alexnet.models.create import load_torchvision_weights


def test_the_network_of_the_package_with_its_own_classes_and_with_others() -> None:
    images = torch.randn(2, 3, 56, 56)
    known = alexnet.load("pretrained", device="cpu").model
    model = alexnet.create_model("alexnet-small", None, "input_size=56", pretrained=True).eval()
    torch.testing.assert_close(model(images), known(images))
    other = alexnet.create_model("alexnet-small", 7, "input_size=56", pretrained=True).eval()
    torch.testing.assert_close(other.forward_features(images), known.forward_features(images))
    assert other(images).shape == (2, 7)


def test_the_weights_of_a_run_and_of_another_model(tmp_path: Path) -> None:
    run = tiny.run(tmp_path / "run", tiny.store(tmp_path))
    model = alexnet.create_model(tiny.RECIPE, 3, *tiny.SETTINGS, pretrained=run.path).eval()
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(model(images), alexnet.load(run.path, device="cpu").model(images))
    with pytest.raises(
        CommandError, match=r"recipe alexnet-one-weird-trick .* does not fit: conv1\.weight is "
    ):
        alexnet.create_model(tiny.RECIPE, 3, pretrained=run.path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        alexnet.create_model(tiny.RECIPE, 3, pretrained=tmp_path / "nowhere")


def test_lenet_5_of_other_classes_keeps_its_codes(tmp_path: Path) -> None:
    config, file = recipes.get("lenet-5"), tmp_path / "digits.safetensors"
    gray = Preprocessing(
        data=config.data,
        mean=torch.zeros(1),
        std=torch.ones(1),
        eigenvalues=torch.ones(1),
        eigenvectors=torch.eye(1),
        resized={"shape": "square", "resize": "crop", "resampling": "bicubic, antialiased"},
        channels="L",
    )
    digits = alexnet.create_model("lenet-5", 10)
    classes = [Class(f"digit{i}", str(i)) for i in range(10)]
    bundle.save(file, ModelBundle(digits, config, classes, gray))
    letters = alexnet.create_model("lenet-5", 26, pretrained=file).state_dict()
    assert torch.equal(letters["F6.weight"], digits.state_dict()["F6.weight"])
    assert letters["output.weight"].shape == (26, 84)


def test_weights_of_torchvision() -> None:
    widths = "model.architecture.widths=[8,8,8,8,8,32,32]"
    model = alexnet.create_model("alexnet-torchvision", 5, widths)
    names = {ours: theirs for theirs, ours in TORCHVISION_LAYERS["AlexNet"].items()}
    state = {
        f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": torch.randn_like(tensor)
        for name, tensor in model.state_dict().items()
    }
    assert load_torchvision_weights(model, state) == []
    torch.testing.assert_close(model.state_dict()["fc6.weight"], state["classifier.1.weight"])
    other = alexnet.create_model("alexnet-torchvision", 7, widths)
    before = other.state_dict()["fc8.weight"].clone()
    assert load_torchvision_weights(other, state) == ["fc8.weight", "fc8.bias"]
    torch.testing.assert_close(other.state_dict()["conv3.weight"], state["features.6.weight"])
    torch.testing.assert_close(other.state_dict()["fc8.weight"], before)
    with pytest.raises(CommandError, match=r"does not fit: conv1\.weight is 8x3x11x11"):
        load_torchvision_weights(alexnet.create_model("alexnet-torchvision", 5), state)
    with pytest.raises(DataError, match="not in torchvision's"):
        load_torchvision_weights(model, {"layer1.0.conv1.weight": torch.zeros(1)})
