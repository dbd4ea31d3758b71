from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from alexnet import hardware
from alexnet.errors import CommandError
from alexnet.hardware import choose_device, describe_device


@pytest.mark.parametrize(
    ("cpuinfo", "supported"),
    [
        ("flags : fpu avx512f avx512_bf16", True),
        ("flags : fpu amx_bf16 amx_tile", True),
        ("Features : fp asimd bf16", True),
        ("flags : fpu avx2 f16c", False),
        ("Features : fp asimd", False),
        ("processor : 0", True),
        (None, True),
    ],
)
def test_bfloat16_support_is_read_from_the_cpu_flags(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str | None, supported: bool
) -> None:
    def read(path: Path) -> str:
        if cpuinfo is None:
            raise FileNotFoundError
        return cpuinfo

    monkeypatch.setattr(Path, "read_text", read)
    assert hardware.multiplies_bfloat16() is supported


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Pretends that torch sees four GPUs."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "local_rank", "wanted"),
    [
        ("auto", "", "cuda:0"),
        ("auto", "2", "cuda:2"),
        ("cuda", "3", "cuda:3"),
        ("cuda:1", "3", "cuda:1"),
        ("cpu", "1", "cpu"),
    ],
)
def test_with_gpus(gpus: pytest.MonkeyPatch, name: str, local_rank: str, wanted: str) -> None:
    gpus.setenv("LOCAL_RANK", local_rank or "0")
    assert choose_device(name) == torch.device(wanted)


@pytest.mark.parametrize("name", ["auto", "cuda:2"])
def test_towers_on_two_devices_start_on_the_first(gpus: pytest.MonkeyPatch, name: str) -> None:
    gpus.setenv("LOCAL_RANK", "0")
    assert choose_device(name, "cuda:2,cuda:1") == torch.device("cuda:2")
    with pytest.raises(CommandError, match=r"--device cuda:1 is not the first .*omit --device"):
        choose_device("cuda:1", "cuda:2,cuda:1")


def test_auto_falls_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == torch.device("cpu")
    with pytest.raises(CommandError, match="--device cpu"):
        choose_device("cuda")


def test_a_missing_gpu_is_refused(gpus: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match=r"no device cuda:4.*sees 4"):
        choose_device("cuda:4")


def test_the_gpu_of_an_apple_computer_is_chosen_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(CommandError, match=r"no device mps: .*type --device cpu"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == torch.device("mps")
    assert choose_device("auto") == torch.device("cpu")
    assert describe_device(torch.device("mps")) == "mps (Apple GPU)"


def test_the_memory_is_unknown_without_sysconf(monkeypatch: pytest.MonkeyPatch) -> None:
    known = hardware.memory_bytes()
    assert known is not None and known > 2**28
    monkeypatch.delattr(os, "sysconf")
    assert hardware.memory_bytes() is None


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", ""])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(CommandError, match="unknown device"):
        choose_device(name)


def test_devices_are_described() -> None:
    cpu = torch.device("cpu")
    assert describe_device(cpu) == f"cpu ({torch.get_num_threads()} threads)"
    assert describe_device(cpu, "cpu,cpu") == f"{describe_device(cpu)} and {describe_device(cpu)}"
