from __future__ import annotations

import pytest
import torch
from torch import nn

from alexnet.training.ema import ExponentialMovingAverage


def test_follows_the_formula_in_double_precision() -> None:
    net = nn.Linear(1, 1, bias=False).double()
    net.weight.data.fill_(1.0)
    average, expected = ExponentialMovingAverage(net, 0.9), 1.0
    for step in range(200):
        net.weight.data.fill_(float(step % 7))
        average.update(net, step)
        decay = min(0.9, (2 + step) / (11 + step))
        expected = decay * expected + (1 - decay) * (step % 7)
    assert average.model.get_parameter("weight").item() == pytest.approx(expected, rel=1e-12)


def test_the_first_weights_are_soon_forgotten() -> None:
    net = nn.Linear(1, 1, bias=False)
    net.weight.data.fill_(1000.0)
    average = ExponentialMovingAverage(net, 0.9999)
    net.weight.data.fill_(0.0)
    for step in range(30):
        average.update(net, step)
    assert average.model.get_parameter("weight").item() < 1


def test_statistics_are_averaged_and_counters_copied() -> None:
    net = nn.BatchNorm1d(2)
    average = ExponentialMovingAverage(net, 0.5)
    net(torch.randn(8, 2) + 5)
    average.update(net, 100)
    buffers = dict(average.model.named_buffers())
    assert buffers["num_batches_tracked"] == 1
    torch.testing.assert_close(buffers["running_mean"], net.running_mean / 2)


def test_without_decay_it_is_the_model_itself() -> None:
    net = nn.Linear(2, 2)
    average = ExponentialMovingAverage(net, 0.0)
    average.update(net, 0)
    assert average.model is net
