"""The real command, started and killed: its output and its files."""

from __future__ import annotations

import json
import random
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny

from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.models import bundle
from alexnet.runs.metrics_log import read_metrics
from alexnet.training import run as training_run
from alexnet.training.trainer import TrainResult


def words(store: Store, run: Path, *more: str) -> list[str]:
    settings = [*tiny.SETTINGS, "training.checkpoint_every_minutes=0", *more]
    return ["train", tiny.RECIPE, "--store", str(store.path), "--run", str(run), "--device", "cpu", *settings]


def weights(run: Path) -> dict[str, Any]:
    return bundle.load(run / "checkpoints" / "last" / "weights.safetensors", "cpu").model.state_dict()


def kill_after(command: list[str], log: Path, lines: int, pause_seconds: float) -> int:
    """Starts the command, kills it as its log grows past `lines` lines; its exit code."""
    with subprocess.Popen([sys.executable, "-m", "alexnet", *command], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if log.exists() and len(log.read_bytes().splitlines()) > lines:
                wait(process, pause_seconds)
                process.kill()
                break
            wait(process, 0.01)
    return process.returncode


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


@pytest.mark.slow
def test_kill_9_at_random_moments(tiny_store: Store, tmp_path: Path) -> None:
    chance = random.Random()
    seed = chance.randrange(10**6)
    chance.seed(seed)
    assert main(words(tiny_store, tmp_path / "whole")) == 0
    run, killed = tmp_path / "killed", 0
    for _ in range(3):
        seen = len(read_metrics(run / "metrics.jsonl")) if (run / "metrics.jsonl").exists() else 0
        command = words(tiny_store, run, "--resume")
        code = kill_after(command, run / "metrics.jsonl", seen + chance.randrange(8), chance.random() / 5)
        killed += code == -signal.SIGKILL
    assert killed, f"it was never killed in time (seed {seed})"
    assert main(words(tiny_store, run, "--resume")) == 0
    whole, again = weights(tmp_path / "whole"), weights(run)
    assert all(bool((whole[name] == again[name]).all()) for name in whole), f"seed {seed}"
    losses = [
        [line["loss"] for line in read_metrics(folder / "metrics.jsonl") if line["event"] == "train"]
        for folder in (tmp_path / "whole", run)
    ]
    assert losses[0] == losses[1], f"seed {seed}"
    assert sorted(path.name for path in (run / "checkpoints").iterdir() if path.name[0] == ".") == []


TERMINATED_AT = """
import os, signal, sys
from importlib.abc import MetaPathFinder

chosen = sys.argv.pop(1)

class Terminates(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == chosen:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGTERM)

sys.meta_path.insert(0, Terminates())
from alexnet.__main__ import main
sys.exit(main())
"""
"""A program that receives SIGTERM when it is about to import the module named first."""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["typer", "torch", "torch.nn.functional", "alexnet.training.trainer"])
def test_sigterm_before_the_first_update_exits_75_and_resumes(
    tiny_store: Store, tmp_path: Path, module: str
) -> None:
    command = words(tiny_store, tmp_path / "run", "schedule.epochs=1", "--resume")
    program = [sys.executable, "-c", TERMINATED_AT, module, *command]
    ended = subprocess.run(program, capture_output=True, text=True, check=False)
    assert ended.returncode == 75, ended.stderr
    assert "stopped by SIGTERM; nothing was lost: type the same command with --resume" in ended.stderr
    assert main(command) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_exits_75(tiny_store: Store, tmp_path: Path, number: signal.Signals) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "alexnet", *words(tiny_store, run, "schedule.epochs=1000")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and not (
            (run / "metrics.jsonl").exists() and len(read_metrics(run / "metrics.jsonl")) >= 4
        ):
            wait(process, 0.02)
        process.send_signal(number)
        error = process.communicate()[1]
    assert process.returncode == 75
    assert f"alexnet: stopped by {number.name} after update" in error
    assert "run the same command with --resume to continue" in error
    stopped = [line for line in read_metrics(run / "metrics.jsonl") if line["event"] == "checkpoint"][-1]
    meta = json.loads((run / "checkpoints" / "last" / "meta.json").read_text())
    assert meta["step"] == stopped["step"]


def test_minutes_then_resume(tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    command = words(tiny_store, run, "schedule.epochs=1")
    assert main([*command, "--minutes", "0"]) == 75
    assert "after 0 minutes after update 1 of 6" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    output = capsys.readouterr().out
    assert "resumed after update 1, in epoch 0, learning rate 0.01" in output
    assert "done after 6 updates: top-1 error" in output
    events = [line["event"] for line in read_metrics(run / "metrics.jsonl")]
    assert (events[0], events.count("resume"), events[-1]) == ("start", 1, "result")


def test_prints_the_plan_and_records_it(
    tiny_store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = tmp_path / "run"
    command = words(tiny_store, run, "schedule.epochs=2", "training.grad_accum_steps=2")
    monkeypatch.setattr(sys, "argv", ["alexnet", *command])
    assert main(command) == 0
    output = capsys.readouterr()
    for part in (
        "alexnet-one-weird-trick: model alexnet, variant one-weird-trick widths=",
        "parameters, seed 0",
        "48 images of 3 classes, 2 epochs of 6 updates",
        "batch 8: 1 process of 8 images, each in 2 micro-batches",
        "learning rate 0.01 (krizhevsky-sgd, four-phase)",
        "on cpu (",
    ):
        assert part in output.out
    for part in (
        "training: 96/96 images",
        "/s without validation",
        "waiting for images",
        "error",
        "validation",
    ):
        assert part in output.err
    environment = json.loads((run / "environment.json").read_text())
    assert environment["store_digest"] == tiny_store.digest
    assert environment["command"] == shlex.join(["alexnet", *command])


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["data.image_size=100"], 2, "side 72"),
        (["data.input_size=100"], 2, "larger than data.image_size"),
        (["training.batch_size=100"], 2, "training images, 48: type training.batch_size=48"),
        (["model.variant=2013"], 2, "unknown variant"),
        (["schedule.epoch=3"], 2, "schedule.epochs"),
        (["schedule.epochs=three"], 2, "whole number"),
        (["--device", "cuda:99"], 2, "cuda:99"),
        (["--device", "tpu"], 2, "unknown device"),
        (["--init-from", "nowhere"], 2, "nowhere"),
    ],
)
def test_a_wrong_command_is_one_line_and_leaves_nothing(
    tiny_store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    code: int,
    message: str,
) -> None:
    run = tmp_path / "run"
    assert main(words(tiny_store, run, *more)) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not run.exists()


def test_an_unknown_recipe_names_the_nearest(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, run = str(tiny_store.path), str(tmp_path / "run")
    assert main(["train", "alexnet-2021", "--store", store, "--run", run]) == 2
    assert "nearest is 'alexnet-2012'" in capsys.readouterr().err


def test_an_existing_run_is_left_alone(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = words(tiny_store, tmp_path / "run", "schedule.epochs=1")
    assert main([*command, "--minutes", "0"]) == 75
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert main(command) == 2
    assert "--resume" in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_resume_lists_changes_and_refuses_another_model(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = words(tiny_store, tmp_path / "run", "schedule.epochs=1")
    assert main([*command, "--minutes", "0"]) == 75
    assert main([*command, "--resume", "model.dropout=0.1"]) == 2
    assert "model.dropout: 0.5 -> 0.1" in capsys.readouterr().err
    assert main([*command, "--resume", "optimizer.lr=0.02", "--minutes", "0"]) == 75
    output = capsys.readouterr().out
    assert "changed: optimizer.lr: 0.01 -> 0.02" in output
    assert "learning rate 0.02" in output


def test_a_run_without_a_chance_to_learn_is_announced(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three updates with a rate of almost 0: the error stays that of one class of three."""
    settings = ["training.batch_size=33", "optimizer.lr=1e-9", "schedule.name=constant"]
    assert main(words(tiny_store, tmp_path / "run", *settings)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "48 images of 3 classes, 3 epochs of 1 update" in lines
    left_out = "each epoch uses 33 of 48 images (training.batch_size=33); training.last_batch=keep uses all"
    assert left_out in lines
    assert any(line.startswith("warning: the run makes only 3 updates") for line in lines)
    assert not any("micro-batch" in line for line in lines)
    after = lines[[line.startswith("done after 3 updates") for line in lines].index(True) + 1]
    assert "is no better than chance for 3 classes: only 3 updates were made" in after
    assert after.endswith("or the recipe alexnet-small")
    assert (
        main([*words(tiny_store, tmp_path / "other", *settings), "--init-from", str(tmp_path / "run")]) == 0
    )
    assert "the run makes only" not in capsys.readouterr().out


def test_a_run_that_has_learned_ends_without_a_warning(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = TrainResult(step=6, epochs=1, errors={"top1_error": 0.6}, best_top1_error=0.6, seconds=1)
    monkeypatch.setattr(training_run, "train_run", lambda *_: result)
    assert main(words(tiny_store, tmp_path / "run", "schedule.epochs=1")) == 0
    output = capsys.readouterr().out
    assert "done after 6 updates: top-1 error 60.0 % (best 60.0 %) on val" in output
    assert "guessing" not in output
