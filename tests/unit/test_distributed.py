"""Collectives of a single process; tests/integration has two processes."""

from __future__ import annotations

import os
import re
import socket

import pytest
import torch
from torch import nn

from alexnet import distributed
from alexnet.errors import WorkError

CPU = torch.device("cpu")


def test_collectives_of_a_single_process_are_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with distributed.running(CPU):
        assert (distributed.rank(), distributed.world_size(), distributed.is_main()) == (0, 1, True)
        assert distributed.sum_across(torch.tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
        assert distributed.broadcast_object("word") == "word"
        assert distributed.broadcast_result(lambda: 3) == 3
        assert distributed.gather_objects("word") == ["word"]
        distributed.barrier()


def test_a_single_process_does_not_wrap_the_model() -> None:
    model = nn.Linear(2, 2)
    assert distributed.wrap_ddp(model, CPU) is model
    with distributed.without_sync(model, True):
        model(torch.ones(1, 2)).sum().backward()
    assert model.weight.grad is not None


def test_a_group_of_one_is_created_and_destroyed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with distributed.running(CPU):
        total = torch.tensor([1.0])
        assert distributed.sum_across(total) is not total
        assert distributed.gather_objects({"a": 1}) == [{"a": 1}]
        model = distributed.wrap_ddp(nn.Linear(2, 2), CPU)
        assert isinstance(model, nn.parallel.DistributedDataParallel)
    assert distributed.world_size() == 1


def test_a_process_that_cannot_join_the_others_names_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("connectFullMesh failed: Connection refused")

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(torch.distributed, "init_process_group", fails)
    with (
        pytest.raises(WorkError, match=r"^rank 1 could not connect .* with --resume"),
        distributed.running(CPU),
    ):
        raise AssertionError("not reached")


@pytest.mark.parametrize(
    ("hosts", "first"),
    [
        ("localhost", "localhost"),
        ("node7", "node7"),
        ("node[01-03,07]", "node01"),
        ("node[07,09-11],other", "node07"),
        ("a1,node[1-3]", "a1"),
        ("rack[2-3]-gpu[5,8].site", "rack2-gpu5.site"),
        ("rack-a-node[1-2]", "rack-a-node1"),
    ],
)
def test_the_first_host_of_a_list_of_slurm(hosts: str, first: str) -> None:
    assert distributed.first_host(hosts) == first


STEP = {
    "SLURM_STEP_ID": "0",
    "SLURM_JOB_ID": "123",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_STEP_NODELIST": "node[01-02]",
}
"""Variables of the last of four processes that `srun` started on two machines."""


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("RANK", "LOCAL_RANK", *(name for name in os.environ if name.startswith("SLURM_"))):
        monkeypatch.delenv(name, raising=False)
    for name, value in STEP.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("changes", "main", "local_rank"),
    [
        ({}, False, 1),
        ({"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, True, 0),
        ({"SLURM_GPUS_PER_TASK": "1"}, False, 0),
        ({"SLURM_NTASKS": "1"}, True, 0),
        ({"SLURM_STEP_NUM_TASKS": "1"}, True, 0),
        ({"SLURM_STEP_ID": ""}, True, 0),
        ({"SLURM_STEP_ID": "4294967290"}, True, 0),  # an interactive shell
        ({"RANK": "0", "LOCAL_RANK": "2"}, True, 2),
    ],
)
def test_the_place_of_a_process_among_those_of_srun(
    step: pytest.MonkeyPatch, changes: dict[str, str], main: bool, local_rank: int
) -> None:
    for name, value in changes.items():
        step.setenv(name, value)
    assert (distributed.launched_as_main(), distributed.local_rank()) == (main, local_rank)


def test_processes_of_srun_meet_on_the_first_node_each_step_at_a_port_of_its_own(
    step: pytest.MonkeyPatch,
) -> None:
    joined: list[dict[str, object]] = []

    def fails(*_: object, **named: object) -> None:
        joined.append(named)
        raise RuntimeError("connectFullMesh failed: Connection refused")

    step.setattr(torch.distributed, "init_process_group", fails)
    for number in ("0", "0", "1"):
        step.setenv("SLURM_STEP_ID", number)
        with pytest.raises(WorkError, match=r"^rank 3 could not connect"), distributed.running(CPU):
            raise AssertionError("not reached")
    assert [(each["rank"], each["world_size"]) for each in joined] == 3 * [(3, 4)]
    first, again, other = (str(each["init_method"]) for each in joined)
    assert first == again != other
    assert first.startswith("tcp://node01:")


@pytest.mark.parametrize(
    ("error", "host", "message"),
    [
        (RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer"), "node2", "(1 on node2)"),
        (torch.distributed.DistBackendError("NCCL error: unhandled"), "node2", "(1 on node2)"),
        (torch.distributed.DistBackendError("NCCL error: unhandled"), socket.gethostname(), "^another rank"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "node2", ""),
    ],
)
def test_a_lost_connection_is_one_line_and_another_error_is_not(
    monkeypatch: pytest.MonkeyPatch, error: RuntimeError, host: str, message: str
) -> None:
    peers = [(socket.gethostname(), os.getpid()), (host, os.getpid())]
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(distributed, "LOST_SECONDS", 0.0)
    monkeypatch.setattr(distributed, "_join", lambda *_: peers)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    with pytest.raises(RuntimeError) as raised, distributed.running(CPU):
        raise error
    if not message:
        assert raised.value is error
        return
    assert isinstance(raised.value, WorkError)
    assert re.search(message.replace("(", r"\(").replace(")", r"\)"), str(raised.value))
    assert "has probably ended" in str(raised.value) and "rank 0 stops, too" in str(raised.value)
