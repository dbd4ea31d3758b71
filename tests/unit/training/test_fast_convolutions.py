"""cuDNN remains enabled: torch's context for its other flags disables it unless it is set explicitly."""

from __future__ import annotations

from pathlib import Path

import tiny
import torch
from torch import nn

from alexnet.data.store import Store
from alexnet.evaluation import inference
from alexnet.models.registry import build_run
from alexnet.runs.run_dir import RunDir
from alexnet.training.trainer import TrainOptions, train_network


def test_while_training_with_a_search_for_the_fastest_kernels(tmp_path: Path, tiny_store: Store) -> None:
    seen: list[tuple[bool, bool]] = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.benchmark))
        return {"top1_error": 0.5}

    config = tiny.config("schedule.epochs=1")
    run = RunDir.create(tmp_path / "run", config)
    train_network(
        config, tiny_store, run, evaluate=evaluate, options=TrainOptions(device=torch.device("cpu"))
    )
    assert {*seen} == {(True, True)}


def test_while_testing_with_deterministic_kernels() -> None:
    cudnn = torch.backends.cudnn
    with inference.testing(build_run(tiny.config(), 3)):
        assert cudnn.enabled
        assert (cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32) == (False, True, False)
