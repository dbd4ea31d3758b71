"""Collectives of several processes; with a single process they do nothing.

`torchrun` or SLURM's `srun` starts the processes; `with running(device):` joins them. All processes must call
the functions here in the same order.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from alexnet.errors import AlexNetError, WorkError
from alexnet.io import is_running
from alexnet.text import first_few

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for another, which may be evaluating alone."""
LOST_SECONDS = 2.0
"""How long a process whose collective failed waits for a sign that another has ended."""

_STEPS = 2**31
"""SLURM numbers the steps that `srun` starts from 0; batch scripts and shells get numbers above."""
_PORTS = range(15_000, 30_000)
"""Ports of rank 0 under SLURM, below those that Linux gives to other connections."""
_STEPS_PER_JOB = 97
"""Steps of a job that run at the same time need different ports."""

Object = TypeVar("Object")


class _Launch(NamedTuple):
    """How the processes were started."""

    rank: int
    local_rank: int
    meeting: Mapping[str, Any]
    """Arguments of `init_process_group`; none where it reads the variables of `torchrun` itself."""


@contextmanager
def running(device: torch.device) -> Generator[None, None, None]:
    """Joins the process group of `torchrun` or `srun` (nccl on GPUs, gloo on CPUs) and destroys it after.

    Within another `running`, or in a process that was started alone, it does nothing. WorkError if the
    connection to another process is lost; it names the rank if that ran on this machine.
    """
    launch = _launch()
    if launch is None or _joined():
        yield
        return
    peers = _join(device, launch)
    try:
        yield
    except AlexNetError:
        raise
    except RuntimeError as error:  # of the backend, such as "Connection closed by peer"
        ended = _ended(peers)
        if ended:
            lost = f"rank {ended[0]} of {len(peers)} has ended (see its own message)"
        elif _is_of_backend(error):
            lost = f"{_elsewhere(peers)} has probably ended (see the messages there; --debug adds torch's)"
        else:
            raise
        raise WorkError(
            f"{lost}, so rank {rank()} stops, too: type the same command with --resume"
        ) from error
    finally:
        dist.destroy_process_group()


def _launch() -> _Launch | None:
    """The place of this process among those of `torchrun` or `srun`; None if it was started alone."""
    found = os.environ
    if "RANK" in found:
        return _Launch(int(found["RANK"]), int(found.get("LOCAL_RANK", "0")), {})
    step = found.get("SLURM_STEP_ID", "")
    processes = found.get("SLURM_STEP_NUM_TASKS") or found.get("SLURM_NTASKS", "")
    if not step.isdecimal() or int(step) >= _STEPS or not processes.isdecimal() or int(processes) < 2:
        return None
    rank, number = int(found["SLURM_PROCID"]), int(found["SLURM_JOB_ID"]) + _STEPS_PER_JOB * int(step)
    host = first_host(found.get("SLURM_STEP_NODELIST") or found["SLURM_JOB_NODELIST"])
    address = f"tcp://{host}:{_PORTS[number % len(_PORTS)]}"
    meeting = {"init_method": address, "rank": rank, "world_size": int(processes)}
    # With --gpus-per-task a process sees its own GPUs only.
    own_gpus = "SLURM_GPUS_PER_TASK" in found
    return _Launch(rank, 0 if own_gpus else int(found["SLURM_LOCALID"]), meeting)


def first_host(hosts: str) -> str:
    """The first host of a list as SLURM writes it: `node01` of `node[01-03,07],other`."""
    first = re.match(r"(?:\[[^]]*\]|[^,[])*", hosts)
    return re.sub(r"\[([^],-]*)[^]]*\]", r"\1", first[0] if first else "")


def _join(device: torch.device, launch: _Launch) -> list[tuple[str, int]]:
    """Joins the process group; the host and the process number of each rank."""
    try:
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=TIMEOUT, **launch.meeting)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        return gather_objects((socket.gethostname(), os.getpid()))
    except RuntimeError as error:  # of the backend, such as "connectFullMesh failed"
        if _joined():
            dist.destroy_process_group()
        raise WorkError(
            f"rank {launch.rank} could not connect to the other processes: one of them has probably "
            "ended (see its own message); type the same command with --resume, or with --debug for what "
            "torch.distributed reports"
        ) from error


def _ended(peers: list[tuple[str, int]]) -> list[int]:
    """The ranks on this machine whose processes have ended, or are about to: they wait a moment for that."""
    here = [number for number, (host, _) in enumerate(peers) if host == socket.gethostname()]
    last = time.monotonic() + LOST_SECONDS
    while True:
        ended = [number for number in here if number != rank() and not is_running(peers[number][1])]
        if ended or time.monotonic() >= last:
            return ended
        time.sleep(0.05)


def _is_of_backend(error: RuntimeError) -> bool:
    """Whether an error is of the connections between processes, and not of the work itself."""
    text = str(error).lower()
    return isinstance(error, dist.DistError) or any(name in text for name in ("gloo", "nccl", "by peer"))


def _elsewhere(peers: list[tuple[str, int]]) -> str:
    """The ranks on other machines with the names of these, in words."""
    here = socket.gethostname()
    others = [f"{number} on {host}" for number, (host, _) in enumerate(peers) if host != here]
    return f"a rank on another machine ({first_few(others, 5)})" if others else "another rank"


def rank() -> int:
    """The rank of this process, 0 .. world_size() - 1."""
    return dist.get_rank() if _joined() else 0


def launched_as_main() -> bool:
    """As `is_main`, but also valid before and after `running`."""
    launch = _launch()
    return launch is None or launch.rank == 0


def local_rank() -> int:
    """The rank of this process on its machine; known before `running`."""
    launch = _launch()
    return int(os.environ.get("LOCAL_RANK", "0")) if launch is None else launch.local_rank


def world_size() -> int:
    """The number of processes."""
    return dist.get_world_size() if _joined() else 1


def is_main() -> bool:
    """Whether this is rank 0, which writes files and prints."""
    return rank() == 0


def barrier() -> None:
    """Waits until all processes have reached this call."""
    if _joined():
        dist.barrier()


def sum_across(tensor: torch.Tensor) -> torch.Tensor:
    """The sum of the tensors of all processes, on all of them; the argument is unchanged."""
    if not _joined():
        return tensor
    total = tensor.clone()
    dist.all_reduce(total)
    return total


def broadcast_object(obj: Object) -> Object:
    """The object of rank 0, on all processes."""
    return broadcast_result(lambda: obj)


def broadcast_result(make: Callable[[], Object]) -> Object:
    """The result of `make` on rank 0, on all processes; it is called on rank 0 only."""
    if not _joined():
        return make()
    holder = [make() if is_main() else None]
    dist.broadcast_object_list(holder, src=0)
    return cast(Object, holder[0])


def copy_from_main(tensors: Iterable[torch.Tensor]) -> None:
    """Overwrites the tensors with those of rank 0."""
    if _joined():
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def gather_objects(obj: Object) -> list[Object]:
    """The objects of all processes in the order of their ranks, on all of them."""
    if not _joined():
        return [obj]
    objects: list[Object | None] = [None] * world_size()
    dist.all_gather_object(objects, obj)
    return cast("list[Object]", objects)


def wrap_ddp(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` wrapped in DistributedDataParallel: initial weights of rank 0, averaged gradients.

    `device` is that of the model, or of its first layer if it is on several.
    """
    if not _joined():
        return model
    on_one_gpu = {parameter.device for parameter in model.parameters()} == {device} and device.type == "cuda"
    return DistributedDataParallel(model, device_ids=[device] if on_one_gpu else None)


def without_sync(model: nn.Module, enabled: bool) -> AbstractContextManager[None]:
    """If `enabled`, gradients accumulate locally, without synchronization; for all micro-batches but the
    last.
    """
    if enabled and isinstance(model, DistributedDataParallel):
        return cast("AbstractContextManager[None]", model.no_sync())
    return nullcontext()


def _joined() -> bool:
    return dist.is_available() and dist.is_initialized()
