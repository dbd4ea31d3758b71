"""A model on two devices is trained to the same weights as on one device."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
from torch import Tensor

from alexnet.data.loader import Batch
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.models.bundle import ModelBundle
from alexnet.models.two_devices import AlexNetOnTwoDevices
from alexnet.optim.param_groups import set_learning_rates
from alexnet.training.diagnostics import measure
from alexnet.training.step import update
from alexnet.training.train_state import TrainState, build_train_state, check_network, whole_state
from alexnet.training.transfer import transfer

CPU = torch.device("cpu")
ON_TWO = "model.tower_devices=cpu,cpu"


def build(store: Store, *settings: str) -> TrainState:
    return build_train_state(
        tiny.config(*tiny.TOWERS, "model.dropout=0", *settings), store, CPU, steps_per_epoch=6
    )


def batch(store: Store) -> Batch:
    split, indices = store.split("train"), torch.arange(8) * 5
    pixels = [torch.frombuffer(bytearray(split.buffer(int(i))), dtype=torch.uint8) for i in indices]
    labels = torch.tensor(split.labels[indices.numpy()], dtype=torch.int64)
    return Batch(torch.stack(pixels).view(8, 72, 72, 3), labels, indices, torch.arange(8), 8)


def train(trained: TrainState, store: Store, steps: range) -> TrainState:
    for step in steps:
        update(trained, batch(store), 0, step, color_noise=True)
    return trained


def weights(trained: TrainState) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trained.model.state_dict().items()}


def assert_near(one: dict[str, Tensor], other: dict[str, Tensor], largest: float = 2e-6) -> None:
    assert list(one) == list(other)
    assert max(float((one[name] - other[name]).abs().max()) for name in one) < largest


def test_first_weights_are_those_on_one_device(tiny_store: Store) -> None:
    one, two = build(tiny_store), build(tiny_store, ON_TWO)
    assert isinstance(two.model, AlexNetOnTwoDevices)
    assert all(torch.equal(tensor, weights(two)[name]) for name, tensor in weights(one).items())


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["optimizer.gradient_clip=0.5", "training.grad_accum_steps=2", "model.architecture.bottleneck=6"],
        ["optimizer.name=sgd", "optimizer.bias_weight_decay=true"],
        ["optimizer.name=adamw", "optimizer.lr=0.0001"],
    ],
    ids=["2012", "clipped", "sgd", "adamw"],
)
def test_updates_are_those_on_one_device(tiny_store: Store, settings: list[str]) -> None:
    averaged = [*settings, "training.ema_decay=0.9"]
    one, two = (train(build(tiny_store, *averaged, *on), tiny_store, range(3)) for on in ([], [ON_TWO]))
    assert_near(weights(one), weights(two))
    assert_near(one.ema.model.state_dict(), two.ema.model.state_dict())
    assert not torch.equal(weights(two)["fc8.weight"], two.ema.model.state_dict()["fc8.weight"])


def test_autocast_reaches_both_towers(tiny_store: Store) -> None:
    lower = "training.precision=bfloat16"
    one, two = (train(build(tiny_store, lower, *on), tiny_store, range(2)) for on in ([], [ON_TWO]))
    assert_near(weights(one), weights(two), largest=2e-3)
    exact = weights(train(build(tiny_store, ON_TWO), tiny_store, range(2)))
    for rows in (slice(None, 4), slice(4, None)):
        assert not torch.equal(weights(two)["conv1.weight"][rows], exact["conv1.weight"][rows])


@pytest.mark.parametrize("name", ["krizhevsky-sgd", "sgd", "adamw"])
@pytest.mark.parametrize(("before", "after"), [([ON_TWO], []), ([], [ON_TWO])], ids=["to one", "to two"])
def test_a_checkpoint_resumes_with_the_towers_on_other_devices(
    tiny_store: Store, name: str, before: list[str], after: list[str]
) -> None:
    rule = [f"optimizer.name={name}", "optimizer.lr=0.001", "training.ema_decay=0.9"]
    first = train(build(tiny_store, *rule, *before), tiny_store, range(3))
    second = build(tiny_store, *rule, *after, "training.seed=5")
    second.load(first.ema.model.state_dict(), first.state())
    assert all(torch.equal(tensor, weights(first)[name]) for name, tensor in weights(second).items())
    again = build(tiny_store, *rule, *after)
    again.load(first.ema.model.state_dict(), first.state())
    assert_near(
        weights(train(first, tiny_store, range(3, 6))), weights(train(again, tiny_store, range(3, 6))), 5e-6
    )


def test_the_optimizers_state_is_saved_as_on_one_device(tiny_store: Store) -> None:
    one, two = (
        train(build(tiny_store, "optimizer.name=adamw", *on), tiny_store, range(2)) for on in ([], [ON_TWO])
    )
    wanted: Any = whole_state(one.model, one.optimizer)
    found: Any = whole_state(two.model, two.optimizer)
    assert found["param_groups"] == wanted["param_groups"]
    assert list(found["state"]) == list(wanted["state"])
    for at, memory in wanted["state"].items():
        assert list(found["state"][at]) == list(memory)
        for slot, tensor in memory.items():
            assert found["state"][at][slot].shape == tensor.shape
            assert found["state"][at][slot].stride() == tensor.stride()


def test_a_layer_is_frozen_in_both_towers(tiny_store: Store) -> None:
    frozen = build(tiny_store, ON_TWO, 'optimizer.lr_multipliers=[["conv3", 0]]')
    set_learning_rates(frozen.optimizer, 0.01, 0.01, {"conv1": 0.0})
    before = weights(frozen)
    after = weights(train(frozen, tiny_store, range(2)))
    still = {name.partition(".")[0] for name in before if torch.equal(before[name], after[name])}
    assert still == {"conv1", "conv3"}


def test_it_is_initialized_from_another_model(tiny_store: Store) -> None:
    other, two = build(tiny_store, "training.seed=5"), build(tiny_store, ON_TWO)
    given = ModelBundle(other.model, other.config, other.classes[::-1], other.preprocessing, {})
    before, there = weights(two), weights(other)
    found = transfer(two.model, two.classes, given, ["conv1", "fc6"])
    assert found.copied == ("conv1.weight", "conv1.bias", "fc6.weight", "fc6.bias")
    assert all(torch.equal(weights(two)[name], there[name]) for name in found.copied)
    assert all(torch.equal(weights(two)[name], before[name]) for name in found.new)
    assert {*transfer(two.model, two.classes, given).new} == {"fc8.weight", "fc8.bias"}


def test_what_does_not_fit_is_found_before_anything_is_computed(tiny_store: Store) -> None:
    fitting = check_network(tiny.config(*tiny.TOWERS, ON_TWO), tiny_store)
    assert {parameter.device.type for parameter in fitting.parameters()} == {"meta"}
    with pytest.raises(CommandError, match="needs a model of two towers"):
        check_network(tiny.config(ON_TWO), tiny_store)
    with pytest.raises(CommandError, match="two devices of one kind"):
        check_network(tiny.config(*tiny.TOWERS, "model.tower_devices=cpu"), tiny_store)
    with pytest.raises(CommandError, match="starts on cpu, not on meta"):
        build_train_state(tiny.config(*tiny.TOWERS, ON_TWO), tiny_store, torch.device("meta"), 6)


def test_diagnostics_measure_both_towers(tiny_store: Store) -> None:
    two = build(tiny_store, ON_TWO)
    signals = measure(two.model, torch.randn(4, 3, 64, 64), torch.tensor([0, 1, 2, 0]))
    assert len(signals.activations) == len(signals.gradients) == 16
    assert signals.gradients["towers.1.conv1"] > 0
