"""The first losses of a tiny run, as they were: whatever changes them should be meant to.

To write the file anew, delete it and run this test; it then fails once.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch

from alexnet.runs.folder import RunFolder
from alexnet.runs.metrics_log import read_metrics
from alexnet.training.loop import train

GOLDEN = Path(__file__).parent / "first_losses.json"


def losses(folder: Path) -> list[float]:
    """Of an augmented run with dropout: they depend on every random draw and on the update rule."""
    config = tiny.config(
        "schedule.epochs=1",
        "data.color_noise=source",
        "data.normalization=mean-image",
        "model.variant=2012",
        "optimizer.learning_rate=0.001",
    )
    run = RunFolder.create(folder / "run", config)
    store, device = tiny.store(folder), torch.device("cpu")
    train(config, store, run, evaluate=lambda model: {"top1_error": 0.5}, device=device)
    return [line["loss"] for line in read_metrics(run.metrics_file) if line["event"] == "train"]


@pytest.mark.slow
def test_the_first_losses_are_what_they_were(tmp_path: Path) -> None:
    found = losses(tmp_path)
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
        pytest.fail(f"wrote {GOLDEN}")
    assert found == pytest.approx(json.loads(GOLDEN.read_text()), rel=2e-3)
