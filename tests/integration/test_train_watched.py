"""Diagnostics in a real run: they warn where they should, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
import torch

from alexnet.data.store import Store
from alexnet.models import bundle
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.run_dir import RunDir
from alexnet.training import diagnostics
from alexnet.training.trainer import TrainOptions, train_network


@pytest.fixture(autouse=True)
def a_loader_that_is_never_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small a model may well wait for images on a busy machine."""
    monkeypatch.setattr(diagnostics, "STARVING_SHARE", 1.0)


def trained(store: Store, folder: Path, *settings: str) -> tuple[list[str], dict[str, torch.Tensor]]:
    """Warnings of a run's log, and its weights."""
    config = tiny.config("schedule.epochs=2", *settings)
    run = RunDir.create(folder, config)
    messages: list[str] = []
    device = torch.device("cpu")
    train_network(
        config,
        store,
        run,
        evaluate=lambda model: {"top1_error": 0.5},
        options=TrainOptions(device=device, log=messages.append),
    )
    warnings = [line["text"] for line in read_metrics(run.metrics_file) if line["event"] == "warning"]
    assert messages == [f"warning: {text}" for text in warnings]
    return warnings, bundle.load(run.checkpoints / "last" / "weights.safetensors", "cpu").model.state_dict()


def test_a_stuck_run_is_diagnosed_twice_and_not_changed(
    tiny_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = ("optimizer.lr=1e-7", "data.normalization=mean-and-std")
    silent, undisturbed = trained(tiny_store, tmp_path / "silent", *slow)
    monkeypatch.setattr(diagnostics, "patience_steps", lambda steps_per_epoch: 4)
    warnings, weights = trained(tiny_store, tmp_path / "watched", *slow)
    assert silent == []
    assert [text.split(" updates")[0] for text in warnings] == ["after 4", "after 8"]
    for part in ("chance (1.0986)", "input std", "conv1", "the learning rate is low"):
        assert part in warnings[0]
    assert all(torch.equal(weights[name], undisturbed[name]) for name in weights)


def test_a_run_that_learns_gets_no_warning(
    tiny_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnostics, "patience_steps", lambda steps_per_epoch: 12)
    settings = ("optimizer.name=adamw", "optimizer.lr=0.003", "model.dropout=0")
    assert trained(tiny_store, tmp_path / "run", *settings)[0] == []


def test_starving_is_reported_once(
    tiny_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnostics, "STARVING_SHARE", -1.0)
    warnings, _ = trained(tiny_store, tmp_path / "run")
    assert [text.split(" images")[0] for text in warnings] == ["the model waits for"]
