"""The two devices that `model.towers_on` names, for this process."""

from __future__ import annotations

import re

import torch

from alexnet import distributed
from alexnet.errors import CommandError


def tower_devices(towers_on: str) -> tuple[torch.device, torch.device]:
    """Where this process has the first tower and where the second, for `cpu,cpu` or `cuda:0,cuda:1`.

    Under `torchrun` each process of a machine has GPUs of its own: with `cuda:0,cuda:1` process r has cuda:2r
    and cuda:2r+1, in general those that are 2r further on. CommandError where the text names no two devices
    of one kind, or a GPU that is not there.
    """
    found = re.fullmatch(r"cpu,cpu|cuda:(\d+),cuda:(\d+)", towers_on)
    if found is None:
        raise CommandError(
            f"model.towers_on={towers_on!r} does not name two devices of one kind: "
            "type model.towers_on=cuda:0,cuda:1 or model.towers_on=cpu,cpu"
        )
    if towers_on == "cpu,cpu":
        return torch.device("cpu"), torch.device("cpu")
    named, process = [int(number) for number in found.groups()], distributed.local_rank()
    first, second = (number + process * len(set(named)) for number in named)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if max(first, second) >= gpus:
        raise CommandError(
            f"model.towers_on={towers_on} needs cuda:{max(first, second)} in process {process} here, "
            f"torch sees {gpus} GPU(s): start fewer processes, or type model.towers_on= for one device"
        )
    return torch.device("cuda", first), torch.device("cuda", second)
