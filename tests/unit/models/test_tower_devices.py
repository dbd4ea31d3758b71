from __future__ import annotations

import pytest
import torch

from alexnet.errors import CommandError
from alexnet.models.two_devices import devices_of_towers


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Pretends that torch sees four GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("text", "local_rank", "wanted"),
    [
        ("cuda:0,cuda:1", "0", ("cuda:0", "cuda:1")),
        ("cuda:0,cuda:1", "1", ("cuda:2", "cuda:3")),
        ("cuda:1,cuda:0", "1", ("cuda:3", "cuda:2")),
        ("cuda:0,cuda:0", "3", ("cuda:3", "cuda:3")),
        ("cpu,cpu", "1", ("cpu", "cpu")),
    ],
)
def test_each_process_has_two_of_its_own(
    gpus: pytest.MonkeyPatch, text: str, local_rank: str, wanted: tuple[str, str]
) -> None:
    gpus.setenv("LOCAL_RANK", local_rank)
    assert devices_of_towers(text) == tuple(map(torch.device, wanted))


@pytest.mark.parametrize(
    "text", ["cuda:0", "cuda,cuda", "cpu,cuda:0", "cuda:0,cuda:1,cuda:2", "gpu,gpu", "cpu,"]
)
def test_anything_but_two_devices_of_one_kind_is_refused(gpus: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(CommandError, match=r"two devices of one kind: type model\.tower_devices=cuda:0"):
        devices_of_towers(text)


def test_a_gpu_that_is_not_there(gpus: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match=r"needs cuda:4 .*sees 4 GPUs"):
        devices_of_towers("cuda:3,cuda:4")
    gpus.setenv("LOCAL_RANK", "2")
    with pytest.raises(CommandError, match=r"needs cuda:5 in process 2 .*start fewer processes"):
        devices_of_towers("cuda:0,cuda:1")
    gpus.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CommandError, match=r"sees 0 GPUs"):
        devices_of_towers("cuda:0,cuda:1")
