"""`alexnet evaluate` as torchrun and srun start it: real processes, real AlexNet."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from alexnet.data.preprocessing import Preprocessing
from alexnet.distributed import _PORTS
from alexnet.models.bundle import ModelBundle
from alexnet.models.config import ModelConfig
from alexnet.models.registry import build
from alexnet.runs import predictions
from alexnet.runs.run_dir import RunDir

from .conftest import CLASSES, CROP, VAL_PER_CLASS, config, write_checkpoint


@pytest.fixture
def run(store, tmp_path: Path) -> Iterator[RunDir]:
    torch.manual_seed(0)
    settings = config(model=ModelConfig())
    model = build(settings.model, CLASSES, CROP)
    made = RunDir.create(tmp_path / "run", settings)
    preprocessing = Preprocessing.from_store(settings.data, store)
    write_checkpoint(made, ModelBundle(model, settings, store.classes, preprocessing, {}), "last")
    yield made
    shutil.rmtree(made.checkpoints)  # large


def of_torchrun(rank: int, world_size: int, port: int) -> dict[str, object]:
    return {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": world_size,
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": port,
    }


def of_srun(rank: int, world_size: int, job: int) -> dict[str, object]:
    return {
        "SLURM_JOB_ID": job,
        "SLURM_STEP_ID": 0,
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": world_size,
        "SLURM_PROCID": rank,
        "SLURM_LOCALID": rank,
    }


def start(variables: dict[str, object], words: list[str]) -> subprocess.Popen[str]:
    environment = {**variables, "OMP_NUM_THREADS": 1}
    command = [sys.executable, "-W", "error", "-m", "alexnet", "evaluate", *words]
    changed = os.environ | {name: str(value) for name, value in environment.items()}
    return subprocess.Popen(command, env=changed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def job_with_a_free_port() -> int:
    """The number of a job whose port is free."""
    for job in range(os.getpid(), os.getpid() + len(_PORTS)):
        with socket.socket() as listening, suppress(OSError):
            listening.bind(("localhost", _PORTS[job % len(_PORTS)]))
            return job
    raise AssertionError("all ports are in use")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("views", "name"), [(["ten"], "ten"), (["dense", "--scales", "72,64"], "dense@64,72")]
)
def test_one_two_and_three_processes_give_the_same_digits(run: RunDir, store, views, name) -> None:
    words = [str(run.path), "--store", str(store.path), "--batch", "40", "--json", "--views", *views]
    saved = predictions.path_of(run.path, "val", name)
    rows: list[np.ndarray] = []
    printed: list[dict] = []
    for world_size, place, number in (
        (1, of_torchrun, free_port()),
        (2, of_srun, job_with_a_free_port()),
        (3, of_torchrun, free_port()),
    ):
        saved.unlink(missing_ok=True)
        processes = [start(place(rank, world_size, number), words) for rank in range(world_size)]
        outputs = [process.communicate() for process in processes]
        assert [process.returncode for process in processes] == [0] * world_size, outputs
        assert [out for out, _ in outputs[1:]] == [""] * (world_size - 1)
        printed.append(json.loads(outputs[0][0]))
        assert printed[-1].pop("seconds") > 0
        rows.append(predictions.load(saved).probabilities)
    assert printed[0]["images"] == CLASSES * VAL_PER_CLASS + 1
    assert printed[1] == printed[0] == printed[2]
    np.testing.assert_array_equal(rows[1], rows[0])
    np.testing.assert_array_equal(rows[2], rows[0])
