"""Runs whose length is time, on a clock that only updates and validations advance."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import nn

from alexnet.data.store import Store
from alexnet.errors import CommandError, Stopped
from alexnet.models import bundle
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.run_dir import RunDir
from alexnet.training import trainer
from alexnet.training.trainer import TrainOptions, TrainResult, train_network

COSINE = (
    "schedule.name=cosine",
    "schedule.epochs=20",
    "schedule.warmup_epochs=2",
    "training.log_every_steps=4",
)


@dataclass
class Machine:
    """A clock, and what an update and a validation cost on it."""

    update_seconds: Callable[[int], float] = lambda step: 1.0
    validation_seconds: float = 2.0
    now: float = 0.0

    def clock(self) -> float:
        return self.now

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        self.now += self.validation_seconds
        return {"top1_error": 0.5}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine, update = Machine(), trainer.update

    def timed(state: Any, batch: Any, epoch: int, step: int, color_noise: bool) -> Any:
        machine.now += machine.update_seconds(step)
        return update(state, batch, epoch, step, color_noise)

    monkeypatch.setattr(trainer, "update", timed)
    return machine


def start(machine: Machine, store: Store, folder: Path, *settings: str, **options: Any) -> TrainResult:
    config = tiny.config(*COSINE, *settings)
    run = RunDir(folder) if options.get("resume") else RunDir.create(folder, config)
    given = TrainOptions(torch.device("cpu"), clock=machine.clock, **options)
    return train_network(config, store, run, machine.evaluate, given)


def rates(folder: Path) -> list[float]:
    found = read_metrics(folder / "metrics.jsonl")
    return [line["learning_rate"] for line in found if line["event"] == "train"]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return bundle.load(folder / "checkpoints" / "last" / "weights.safetensors", "cpu").model.state_dict()


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5])
def test_the_schedule_ends_when_the_time_does(
    tiny_store: Store, tmp_path: Path, machine: Machine, seconds: float
) -> None:
    machine.update_seconds = lambda step: 10.0 if step == 0 else seconds
    result = start(machine, tiny_store, tmp_path / "run", "schedule.minutes=1")
    assert 56 <= machine.now <= 60
    assert result.step == read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["step"]
    # A tenth of the updates is warm-up, and the cosine falls to nearly nothing.
    assert max(rates(tmp_path / "run")) > 0.009
    assert rates(tmp_path / "run")[-1] < 0.001


def test_a_machine_that_becomes_slower_makes_fewer_updates(
    tiny_store: Store, tmp_path: Path, machine: Machine
) -> None:
    machine.update_seconds = lambda step: 1.0 if step < 40 else 2.0
    lines: list[str] = []
    result = start(machine, tiny_store, tmp_path / "run", "schedule.minutes=2", log=lines.append)
    assert 115 <= machine.now <= 124
    assert result.step < 80
    planned = [
        line["total_steps"]
        for line in read_metrics(tmp_path / "run" / "metrics.jsonl")
        if line["event"] == "plan"
    ]
    assert len(planned) > 1 and planned[0] > planned[-1] >= result.step
    assert [line.split(":")[0] for line in lines if "planned" in line] == [
        "planned",
        *["now planned"] * (len(planned) - 1),
    ]


def test_a_resumed_run_counts_the_time_already_used_and_keeps_its_updates(
    tiny_store: Store, tmp_path: Path, machine: Machine
) -> None:
    start(machine, tiny_store, tmp_path / "whole", "schedule.minutes=1")
    whole, machine.now = machine.now, 0.0
    machine.update_seconds = stop_after(20)
    with pytest.raises(Stopped):
        start(machine, tiny_store, tmp_path / "run", "schedule.minutes=1")
    used, machine.now = machine.now, 500.0
    machine.update_seconds = lambda step: 1.0
    start(machine, tiny_store, tmp_path / "run", "schedule.minutes=1", resume=True)
    assert used + machine.now - 500 == pytest.approx(whole, abs=2)
    assert rates(tmp_path / "run") == rates(tmp_path / "whole")
    stopped, uninterrupted = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert all(torch.equal(stopped[name], uninterrupted[name]) for name in uninterrupted)


def stop_after(step: int) -> Callable[[int], float]:
    """Updates of one second, during the last of which a signal requests a stop."""

    def seconds(number: int) -> float:
        if number == step - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return 1.0

    return seconds


def test_more_minutes_continue_a_finished_run(tiny_store: Store, tmp_path: Path, machine: Machine) -> None:
    first = start(machine, tiny_store, tmp_path / "run", "schedule.minutes=1")
    again = start(machine, tiny_store, tmp_path / "run", "schedule.minutes=1", resume=True)
    assert again.step == first.step
    second = start(machine, tiny_store, tmp_path / "run", "schedule.minutes=2", resume=True)
    assert second.step > 1.8 * first.step
    assert 114 <= machine.now <= 121


def test_fewer_minutes_than_were_used_are_refused(
    tiny_store: Store, tmp_path: Path, machine: Machine
) -> None:
    start(machine, tiny_store, tmp_path / "run", "schedule.minutes=1")
    with pytest.raises(CommandError, match=r"trained for 1\.0 minutes; schedule\.minutes must be 1 or more"):
        start(machine, tiny_store, tmp_path / "run", "schedule.minutes=0.5", resume=True)


def test_a_run_by_epochs_continues_by_minutes(tiny_store: Store, tmp_path: Path, machine: Machine) -> None:
    first = start(machine, tiny_store, tmp_path / "run", "schedule.epochs=2")
    second = start(machine, tiny_store, tmp_path / "run", "schedule.minutes=1", resume=True)
    assert second.step > first.step == 12
    assert 56 <= machine.now <= 60


def test_a_long_run_is_announced_once(tiny_store: Store, tmp_path: Path, machine: Machine) -> None:
    machine.update_seconds = lambda step: 60.0
    lines: list[str] = []
    start(machine, tiny_store, tmp_path / "run", log=lines.append)
    (line,) = [line for line in lines if "takes about" in line]
    # 115 minutes of training are left, and validations that were not measured yet.
    assert line.startswith("warning: the run takes about 2 h 1")


def test_validations_that_cost_more_than_training_are_announced_once(
    tiny_store: Store, tmp_path: Path, machine: Machine
) -> None:
    machine.validation_seconds = 12.0  # an epoch of training takes 6
    lines: list[str] = []
    start(machine, tiny_store, tmp_path / "run", log=lines.append)
    assert [line for line in lines if "validation" in line] == [
        "warning: validation takes 12 s, but the training between validations only 6 s: type "
        "training.evaluate_every_epochs=10"
    ]
