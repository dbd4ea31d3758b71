"""Two towers on two GPUs, and on one, against the CPU's double precision."""

from __future__ import annotations

import pytest
import tiny
import torch
from torch import nn

from alexnet.data.store import Store
from alexnet.models.alexnet import AlexNet
from alexnet.models.two_devices import AlexNetOnTwoDevices
from alexnet.optim.krizhevsky_sgd import KrizhevskySGD
from alexnet.training.step import _seed_dropout
from alexnet.training.train_state import build_train_state

pytestmark = pytest.mark.gpu
needs_one = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
needs_two = pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")


@pytest.mark.parametrize(
    "second", [pytest.param(0, marks=needs_one), pytest.param(1, marks=needs_two)], ids=["one", "two"]
)
def test_logits_gradients_and_an_update_are_the_cpus(second: int) -> None:
    torch.manual_seed(0)
    exact = AlexNet("2012", num_classes=7, crop=64, dropout=0.0).double()
    images = 60 * torch.randn(4, 3, 64, 64, dtype=torch.float64)
    devices = [torch.device("cuda", 0), torch.device("cuda", second)]
    cut = AlexNetOnTwoDevices(exact, devices).float()
    assert cut.devices == devices
    found = {}
    for net, inputs in ((exact, images), (cut, images.float())):
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            logits = net(inputs)
            nn.functional.cross_entropy(logits, torch.arange(4, device=logits.device)).backward()
        KrizhevskySGD(net.parameters(), lr=0.1).step()
        found[net] = logits.detach().double().cpu()
    torch.testing.assert_close(found[cut], found[exact], rtol=1e-3, atol=1e-4)
    for name, tensor in cut.state_dict().items():
        torch.testing.assert_close(tensor.double().cpu(), exact.state_dict()[name], rtol=1e-3, atol=1e-4)


@needs_two
def test_each_tower_loses_other_units(tmp_path_factory: pytest.TempPathFactory) -> None:
    store: Store = tiny.store(tmp_path_factory.mktemp("tiny"))
    config = tiny.config(*tiny.TOWERS, "model.tower_devices=cuda:0,cuda:1")
    state = build_train_state(config, store, torch.device("cuda", 0), steps_per_epoch=6)
    _seed_dropout(state, 0)
    drawn = [torch.rand(1000, device=device).cpu() for device in state.model.devices]
    assert not torch.equal(*drawn)
