"""Many processes as one: collectives that do nothing where there is only one process.

Processes are started by `torchrun`; `with running(device):` joins them. Every function here must be called
by all processes alike, in the same order.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for another; one of them may be testing alone meanwhile."""

Object = TypeVar("Object")


@contextmanager
def running(device: torch.device) -> Generator[None, None, None]:
    """Joins the processes `torchrun` has started (nccl on GPUs, gloo on CPUs) and parts them at the end.

    Within another `running` it does nothing.
    """
    if "RANK" not in os.environ or _joined():
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """This process's number, 0 .. world_size() - 1."""
    return dist.get_rank() if _joined() else 0


def launched_as_main() -> bool:
    """As `is_main`, but also before and after `running`."""
    return os.environ.get("RANK", "0") == "0"


def local_rank() -> int:
    """This process's number on its machine; known before `running`."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def world_size() -> int:
    """How many processes work together."""
    return dist.get_world_size() if _joined() else 1


def is_main() -> bool:
    """Whether this is the one process that writes files and talks to people."""
    return rank() == 0


def barrier() -> None:
    """Waits until all processes are here."""
    if _joined():
        dist.barrier()


def sum_across(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of all processes' tensors of one shape, in all of them; the argument is left alone."""
    if not _joined():
        return tensor
    total = tensor.clone()
    dist.all_reduce(total)
    return total


def broadcast_object(obj: Object) -> Object:
    """The main process's object, in all of them."""
    return broadcast_result(lambda: obj)


def broadcast_result(make: Callable[[], Object]) -> Object:
    """What `make` returns in the main process, in all of them; it is called there only."""
    if not _joined():
        return make()
    holder = [make() if is_main() else None]
    dist.broadcast_object_list(holder, src=0)
    return cast(Object, holder[0])


def copy_from_main(tensors: Iterable[torch.Tensor]) -> None:
    """Overwrites the tensors with those of the main process."""
    if _joined():
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def gather_objects(obj: Object) -> list[Object]:
    """The objects of all processes in the order of their ranks, in all of them."""
    if not _joined():
        return [obj]
    objects: list[Object | None] = [None] * world_size()
    dist.all_gather_object(objects, obj)
    return cast("list[Object]", objects)


def wrap_ddp(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` with its first weights taken from the main process and its gradients averaged across all.

    `device` is where it is, or where its first layer is if it is on several.
    """
    if not _joined():
        return model
    on_one_gpu = {parameter.device for parameter in model.parameters()} == {device} and device.type == "cuda"
    return DistributedDataParallel(model, device_ids=[device] if on_one_gpu else None)


def without_sync(model: nn.Module, wanted: bool) -> AbstractContextManager[None]:
    """While it lasts gradients pile up in each process alone, if `wanted`: all but the last micro-batch."""
    if wanted and isinstance(model, DistributedDataParallel):
        return cast("AbstractContextManager[None]", model.no_sync())
    return nullcontext()


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()
