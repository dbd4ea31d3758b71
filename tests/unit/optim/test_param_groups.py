from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from alexnet.config import OptimizerConfig
from alexnet.errors import CommandError
from alexnet.models.lenet import LeNet5
from alexnet.models.overfeat import OverFeat
from alexnet.models.vgg import VGG
from alexnet.optim.krizhevsky_sgd import KrizhevskySGD
from alexnet.optim.param_groups import (
    make_optimizer,
    parameter_groups,
    parameter_layers,
    set_learning_rates,
)


class Net(nn.Module):
    """Two layers; the first one's normalization is elsewhere, under its name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, bias=False)
        self.fc8 = nn.Linear(4, 2)
        self.after = nn.ModuleDict({"conv1": nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())})


def by_name(config: OptimizerConfig) -> dict[tuple[str, str], dict[str, Any]]:
    return {(group["layer"], group["kind"]): group for group in parameter_groups(Net(), config)}


def test_each_parameter_is_in_one_group_with_its_layer() -> None:
    groups = by_name(OptimizerConfig())
    assert set(groups) == {
        ("conv1", "weight"),
        ("conv1", "norm"),
        ("conv1", "bias"),
        ("fc8", "weight"),
        ("fc8", "bias"),
    }
    counted = sum(parameter.numel() for group in groups.values() for parameter in group["params"])
    assert counted == sum(parameter.numel() for parameter in Net().parameters())


def test_biases_as_in_2012() -> None:
    groups = by_name(OptimizerConfig(bias_follows_schedule=False))
    weight, bias = groups["fc8", "weight"], groups["fc8", "bias"]
    assert (weight["lr"], weight["weight_decay"], weight["follows_schedule"]) == (0.01, 0.0005, True)
    assert (bias["lr"], bias["weight_decay"], bias["follows_schedule"]) == (0.02, 0.0, False)


def test_biases_as_torch_has_them() -> None:
    groups = by_name(OptimizerConfig(bias_lr_multiplier=1.0, bias_weight_decay=True))
    assert {(group["lr"], group["weight_decay"]) for group in groups.values()} == {(0.01, 0.0005)}


def test_layer_factors_and_freezing() -> None:
    groups = by_name(OptimizerConfig(lr_multipliers=(("conv1", 0.0), ("fc8", 10.0))))
    factors = {key: group["factor"] for key, group in groups.items()}
    assert factors[("conv1", "weight")] == 0
    assert factors[("conv1", "norm")] == 0
    assert factors[("fc8", "weight")] == 10
    assert factors[("fc8", "bias")] == 20


def test_the_first_layer_reads_images_and_the_last_gives_logits() -> None:
    assert parameter_layers(Net()) == ["conv1", "fc8"]
    assert parameter_layers(LeNet5()) == ["C1", "C3", "C5", "F6", "output"]  # its codes are not trained
    assert {group["layer"] for group in parameter_groups(LeNet5(), OptimizerConfig())} == {
        *("C1", "S2", "C3", "S4", "C5", "F6")
    }
    with torch.device("meta"):
        for model, first, last in ((VGG(), "conv1_1", "fc8"), (OverFeat(), "conv1", "fc8")):
            layers = parameter_layers(model)
            assert (layers[0], layers[-1]) == (first, last)


def test_an_unknown_layer_names_the_nearest() -> None:
    with pytest.raises(CommandError, match="nearest is 'fc8'"):
        parameter_groups(Net(), OptimizerConfig(lr_multipliers=(("fc_8", 1.0),)))


def test_rates_of_a_step() -> None:
    optimizer = make_optimizer(Net(), OptimizerConfig(bias_follows_schedule=False))
    set_learning_rates(optimizer, rate=0.001, first_rate=0.01, lr_multipliers={"conv1": 0.1})
    rates = {(group["layer"], group["kind"]): group["lr"] for group in optimizer.param_groups}
    assert rates[("conv1", "weight")] == pytest.approx(0.0001)
    assert rates[("fc8", "weight")] == pytest.approx(0.001)
    assert rates[("fc8", "bias")] == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("krizhevsky-sgd", KrizhevskySGD), ("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)],
)
def test_each_rule_lowers_the_loss_and_leaves_a_frozen_layer_alone(name: Any, kind: type) -> None:
    net = Net()
    optimizer = make_optimizer(net, OptimizerConfig(name=name, lr_multipliers=(("conv1", 0.0),)))
    assert isinstance(optimizer, kind)
    images, first = torch.randn(8, 3, 3, 3), net.conv1.weight.detach().clone()

    def loss() -> torch.Tensor:
        return net.fc8(net.after["conv1"](net.conv1(images)).flatten(1)).square().mean()

    before = loss()
    before.backward()
    optimizer.step()
    assert loss() < before
    assert torch.equal(net.conv1.weight, first)


def test_biases_that_keep_their_rate_keep_it_under_a_layers_factor_too() -> None:
    config = OptimizerConfig(bias_follows_schedule=False, lr_multipliers=(("conv1", 0.1),))
    model = Net()
    optimizer = make_optimizer(model, config)

    def rates(factors: dict[str, float]) -> dict[tuple[str, str], float]:
        set_learning_rates(optimizer, 0.001, 0.01, factors)
        return {(group["layer"], group["kind"]): group["lr"] for group in optimizer.param_groups}

    slowed = rates({"fc8": 10.0, "conv1": 0.1})
    assert slowed["fc8", "weight"] == pytest.approx(0.01)
    assert slowed["conv1", "weight"] == pytest.approx(0.00001)
    assert slowed["fc8", "bias"] == slowed["conv1", "bias"] == pytest.approx(0.02)
    frozen = rates({"conv1": 0.0})
    assert frozen["conv1", "weight"] == frozen["conv1", "bias"] == 0
