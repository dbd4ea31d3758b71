from __future__ import annotations

import copy
import importlib.util
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.krizhevsky_sgd import update

from alexnet.optim.krizhevsky_sgd import KrizhevskySGD

RATES = st.lists(st.sampled_from([0.0, 1e-4, 1e-3, 0.01, 0.3]), min_size=1, max_size=12)


def follow(
    rates: list[float], momentum: float, decay: float, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights of ours and of the reference after updates at `rates` with the same gradients."""
    generator = torch.Generator().manual_seed(3)
    first = torch.randn(37, generator=generator).to(dtype)
    weight = torch.nn.Parameter(first.clone())
    optimizer = KrizhevskySGD([weight], momentum=momentum, weight_decay=decay)
    weights, velocities = first.double().tolist(), [0.0] * 37
    for rate in rates:
        gradient = torch.randn(37, generator=generator).to(dtype)
        weight.grad = gradient.clone()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        update(weights, velocities, gradient.double().tolist(), rate, momentum, decay)
    return weight.detach().double(), torch.tensor(weights, dtype=torch.float64)


@settings(max_examples=40)
@given(RATES, st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.0, 5e-4, 0.1]))
def test_double_precision_equals_the_reference_up_to_rounding(
    rates: list[float], momentum: float, decay: float
) -> None:
    ours, twin = follow(rates, momentum, decay, torch.float64)
    torch.testing.assert_close(ours, twin, rtol=1e-13, atol=1e-14)


@settings(max_examples=40)
@given(RATES, st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([0.0, 5e-4, 0.1]))
def test_single_precision_only_rounds(rates: list[float], momentum: float, decay: float) -> None:
    ours, twin = follow(rates, momentum, decay, torch.float32)
    torch.testing.assert_close(ours, twin, rtol=1e-6, atol=3e-6)


def side_by_side(rates: list[float]) -> tuple[list[float], list[float]]:
    """Steps of ours and of torch.optim.SGD on the same gradient of 1, without decay."""
    ours, theirs = torch.nn.Parameter(torch.zeros(1).double()), torch.nn.Parameter(torch.zeros(1).double())
    optimizers = [
        KrizhevskySGD([ours], momentum=0.9, weight_decay=0.0),
        torch.optim.SGD([theirs], lr=0.1, momentum=0.9),
    ]
    steps: tuple[list[float], list[float]] = ([], [])
    for rate in rates:
        for weight, optimizer, taken in zip((ours, theirs), optimizers, steps, strict=True):
            before = weight.item()
            weight.grad = torch.ones(1).double()
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            taken.append(weight.item() - before)
    return steps


def test_the_same_as_torch_while_the_rate_is_constant() -> None:
    ours, theirs = side_by_side([0.1] * 20)
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_past_gradients_fade_out_where_torch_rescales_them() -> None:
    ours, theirs = side_by_side([0.1] * 10 + [0.01])
    assert ours[-1] == pytest.approx(0.9 * ours[-2] - 0.01, rel=1e-12)
    assert theirs[-1] == pytest.approx(0.1 * 0.9 * theirs[-2] - 0.01, rel=1e-12)


def test_rate_zero_leaves_weight_and_velocity_alone() -> None:
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer = KrizhevskySGD([weight], lr=0.1)
    weight.grad = torch.ones(4)
    optimizer.step()
    moved, velocity = weight.detach().clone(), optimizer.state[weight]["velocity"].clone()
    optimizer.param_groups[0]["lr"] = 0.0
    weight.grad = torch.ones(4)
    optimizer.step()
    assert torch.equal(weight, moved)
    assert torch.equal(optimizer.state[weight]["velocity"], velocity)


def test_groups_keep_their_own_constants() -> None:
    weight, bias = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = KrizhevskySGD(
        [{"params": [weight], "lr": 0.1}, {"params": [bias], "lr": 0.2, "weight_decay": 0.0}]
    )
    for each in (weight, bias):
        each.grad = torch.ones(2)
    optimizer.step()
    assert weight.tolist() == pytest.approx([1 - 0.1 - 0.0005 * 0.1] * 2, rel=1e-6)
    assert bias.tolist() == pytest.approx([0.8] * 2, rel=1e-6)


def test_the_state_comes_back_bit_for_bit() -> None:
    def steps(optimizer: KrizhevskySGD, weight: torch.nn.Parameter, seeds: range) -> None:
        for seed in seeds:
            weight.grad = torch.randn(50, generator=torch.Generator().manual_seed(seed))
            optimizer.step()

    weight = torch.nn.Parameter(torch.linspace(-1, 1, 50))
    optimizer = KrizhevskySGD([weight])
    steps(optimizer, weight, range(5))
    again = torch.nn.Parameter(weight.detach().clone())
    resumed = KrizhevskySGD([again])
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    steps(optimizer, weight, range(5, 9))
    steps(resumed, again, range(5, 9))
    assert torch.equal(weight, again)


def test_weights_without_gradient_rest() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    KrizhevskySGD([weight]).step()
    assert torch.equal(weight, torch.ones(3))


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 5e-4), (0.9, 0.0), (0.0, 5e-4)])
def test_a_torch_without_the_fused_kernel_gives_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch, momentum: float, decay: float
) -> None:
    spec = importlib.util.find_spec("alexnet.optim.krizhevsky_sgd")
    assert spec is not None and spec.loader is not None
    without = importlib.util.module_from_spec(spec)
    with monkeypatch.context() as patched:
        patched.setattr(torch.ops, "aten", SimpleNamespace())
        spec.loader.exec_module(without)

    def train(kind: type[KrizhevskySGD]) -> torch.Tensor:
        generator = torch.Generator().manual_seed(5)
        weight = torch.nn.Parameter(torch.randn(4, 256, generator=generator))
        optimizer = kind([weight], momentum=momentum, weight_decay=decay)
        for rate in [0.1] * 5 + [0.003] * 5:
            optimizer.param_groups[0]["lr"] = rate
            weight.grad = torch.randn(4, 256, generator=generator)
            optimizer.step()
        return weight.detach()

    assert without.KrizhevskySGD is not KrizhevskySGD
    assert torch.equal(train(without.KrizhevskySGD), train(KrizhevskySGD))
