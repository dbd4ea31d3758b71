"""Under torchrun, two processes give the same as one, up to rounding; each may be on two devices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny
from torch.distributed import TCPStore

from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.models import bundle
from alexnet.runs.metrics_log import read_metrics

# 9 images are divided unevenly: 4 and 5.
SETTINGS = ("schedule.epochs=2", "training.batch_size=9", "model.dropout=0", "training.grad_accum_steps=2")

EVERY_IMAGE = (
    # 47 images in batches of 7 and 8.
    *("training.last_batch=keep", "data.max_images=47"),
    "data.sampling=balanced",
)


def words(store: Store, run: Path, *more: str) -> list[str]:
    settings = [*tiny.SETTINGS, *SETTINGS, *more]
    return ["train", tiny.RECIPE, "--store", str(store.path), "--run", str(run), "--device", "cpu", *settings]


def in_two_processes(command: list[str]) -> subprocess.CompletedProcess[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    # Without the `--` torchrun takes our --run for one of its own options.
    words = [*torchrun, "-m", "--", "alexnet", *command]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def lines(run: Path, event: str) -> list[dict[str, Any]]:
    return [line for line in read_metrics(run / "metrics.jsonl") if line["event"] == event]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "devices", "updates"),
    [((), (), 10), (tiny.TOWERS, ("model.tower_devices=cpu,cpu",), 10), (EVERY_IMAGE, (), 12)],
    ids=["one", "two", "every image"],
)
def test_two_processes_train_as_one(
    tiny_store: Store, tmp_path: Path, net: tuple[str, ...], devices: tuple[str, ...], updates: int
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(words(tiny_store, one, *net)) == 0
    ended = in_two_processes(words(tiny_store, two, *net, *devices))
    assert ended.returncode == 0, ended.stderr
    assert "batch 9: 2 processes of 4.5 images" in ended.stdout
    assert ended.stdout.count(f"done after {updates} updates") == 1
    for of_one, of_two in zip(lines(one, "train"), lines(two, "train"), strict=True):
        assert of_two["step"] == of_one["step"]
        assert of_two["error"] == of_one["error"]
        assert of_two["loss"] == pytest.approx(of_one["loss"], rel=1e-5)
    for of_one, of_two in zip(lines(one, "validation"), lines(two, "validation"), strict=True):
        assert of_two["images"] == of_one["images"] == tiny.CLASSES * tiny.VAL_PER_CLASS
        assert of_two["top1_error"] == of_one["top1_error"]
    nets = [
        bundle.load(run / "checkpoints" / "last" / "weights.safetensors", "cpu").model.state_dict()
        for run in (one, two)
    ]
    assert max(float((nets[0][name] - nets[1][name]).abs().max()) for name in nets[0]) < 1e-5


@pytest.mark.slow
def test_stopped_in_two_processes_it_resumes_in_one(tiny_store: Store, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert main(words(tiny_store, whole)) == 0
    ended = in_two_processes([*words(tiny_store, run), "--minutes", "0"])
    assert "stopped after 0 minutes after update 1 of 10; checkpoint saved" in ended.stderr
    assert main([*words(tiny_store, run), "--resume"]) == 0
    for of_whole, of_run in zip(lines(whole, "train"), lines(run, "train"), strict=True):
        assert of_run["loss"] == pytest.approx(of_whole["loss"], rel=1e-5)


LOSES_RANK_1 = """
import os, signal, sys
from alexnet import distributed
from alexnet.cli.main import main

gather, calls = distributed.gather_objects, []

def gather_or_die(value):
    calls.append(value)
    if distributed.rank() == 1 and len(calls) == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return gather(value)

distributed.gather_objects = gather_or_die
sys.exit(main(sys.argv[1:]))
"""


def start_rank(rank: int, store: TCPStore, command: list[str]) -> subprocess.Popen[str]:
    """One of two processes, started as torchrun does but without it: it would send SIGTERM to the other."""
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    meeting = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }
    return subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **place, **meeting}, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_a_lost_rank_is_named_by_the_others_and_the_run_resumes(tiny_store: Store, tmp_path: Path) -> None:
    program, run = tmp_path / "program.py", tmp_path / "run"
    program.write_text(LOSES_RANK_1)
    command = words(tiny_store, run)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    main_rank, lost = (start_rank(rank, store, [str(program), *command]) for rank in (0, 1))
    assert lost.wait() == -signal.SIGKILL
    _, of_main = main_rank.communicate()
    lost.communicate()
    assert main_rank.returncode == 1
    ours = [line for line in of_main.splitlines() if line.startswith("alexnet: ")]
    assert ours == [
        "alexnet: rank 1 of 2 has ended (see its own message), so rank 0 stops, too: type the same "
        "command with --resume"
    ]
    assert main([*command, "--resume"]) == 0
