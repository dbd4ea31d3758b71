"""Collectives of a single process; tests/integration has two processes."""

from __future__ import annotations

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
