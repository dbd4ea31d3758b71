"""The first losses of tiny runs, as recorded: they must only change on purpose. To record a file again,
delete it and run this test; it then fails once.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
import torch

from alexnet import recipes
from alexnet.config import RunConfig, override
from alexnet.runs.metrics_log import read_metrics
from alexnet.runs.run_dir import RunDir
from alexnet.training.trainer import TrainOptions, train_network

FOLDER = Path(__file__).parent


def alexnet() -> RunConfig:
    """An AlexNet with augmentation and dropout: the losses depend on every random draw and on the update
    rule.
    """
    return tiny.config(
        "schedule.epochs=1",
        "data.pca_lighting=source",
        "data.normalization=mean-image",
        "model.variant=2012",
        "optimizer.lr=0.001",
    )


def lenet(name: str) -> RunConfig:
    """A LeNet for the same photos."""
    settings = [setting for setting in tiny.SETTINGS if not setting.startswith("model.")]
    settings += ["data.channels=3", "data.max_images=0", "schedule.epochs=1"]
    return override(recipes.get(name), settings)


CONFIGS = {
    "first_losses.json": alexnet,
    "first_losses_lenet_1989.json": lambda: lenet("lenet-1989"),
    "first_losses_lenet_5.json": lambda: lenet("lenet-5"),
    "first_losses_lenet_modern.json": lambda: lenet("lenet-modern"),
}


def losses(config: RunConfig, folder: Path) -> list[float]:
    """The losses of all updates."""
    run = RunDir.create(folder / "run", config)
    store, device = tiny.store(folder), torch.device("cpu")
    train_network(
        config, store, run, evaluate=lambda model: {"top1_error": 0.5}, options=TrainOptions(device=device)
    )
    return [line["loss"] for line in read_metrics(run.metrics_file) if line["event"] == "train"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_the_first_losses_are_what_they_were(name: str, tmp_path: Path) -> None:
    golden, found = FOLDER / name, losses(CONFIGS[name](), tmp_path)
    if not golden.exists():
        golden.write_text(json.dumps(found, indent=1) + "\n")
        pytest.fail(f"wrote {golden}")
    assert found == pytest.approx(json.loads(golden.read_text()), rel=2e-3)
