"""A small store of odd-shaped photos, a tiny model, and run directories with it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from alexnet.config import RunConfig, ScheduleConfig
from alexnet.data.config import DataConfig
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.models import bundle, registry
from alexnet.models.bundle import ModelBundle
from alexnet.models.config import ModelConfig
from alexnet.runs.run_dir import RunDir
from alexnet.training.config import TrainingConfig

CLASSES, VAL_PER_CLASS, SIDE, CROP = 7, 3, 72, 64


class Tiny(nn.Module):
    """A model whose outputs differ between photos, positions and colors."""

    layer_names = ("conv1", "fc2")

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 7, stride=4)
        self.fc2 = nn.Linear(4 * 16, num_classes)

    def activations(self, images: Tensor) -> dict[str, Tensor]:
        conv1 = torch.relu(self.conv1(images / 50))
        return {"conv1": conv1, "fc2": self.fc2(nn.functional.adaptive_avg_pool2d(conv1, 4).flatten(1))}

    def forward(self, images: Tensor) -> Tensor:
        return self.activations(images)["fc2"]


def jpeg(seed: int, size: tuple[int, int] = (90, 80)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    return file.getvalue()


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train/` and `val/` with class folders: VAL_PER_CLASS photos per class, one more in class 0."""
    root = tmp_path_factory.mktemp("photos")
    for seed in range(CLASSES):
        for split, count in (("train", 2), ("val", VAL_PER_CLASS + (seed == 0))):
            folder = root / split / f"n0000000{seed}"
            folder.mkdir(parents=True)
            for number in range(count):
                size = (90 + 10 * number, 80 + 5 * seed)
                (folder / f"{number}.JPEG").write_bytes(
                    jpeg(1000 * seed + 10 * number + (split == "val"), size)
                )
    return root


@pytest.fixture(scope="session")
def prepared(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Store]:
    """Makes stores of the photos with other settings."""

    def make(**settings) -> Store:
        path = tmp_path_factory.mktemp("stores") / "store"
        return prepare(open_source(photos), path, PrepareSettings(**{"side": SIDE, **settings}), workers=1)

    return make


@pytest.fixture(scope="session")
def store(prepared) -> Store:
    return prepared()


TINY = ModelConfig(dropout=0.125)
"""Configuration that stands for `Tiny` in `make_run`."""


def config(seed: int = 0, model: ModelConfig = TINY) -> RunConfig:
    return RunConfig(
        recipe="alexnet-2012",
        data=DataConfig(image_size=SIDE, input_size=CROP),
        model=model,
        schedule=ScheduleConfig(epochs=3),
        training=TrainingConfig(seed=seed),
    )


def make_net(store: Store, seed: int = 0) -> ModelBundle:
    torch.manual_seed(seed)
    settings = config(seed)
    preprocessing = Preprocessing.from_store(settings.data, store)
    return ModelBundle(Tiny(len(store.classes)).eval(), settings, store.classes, preprocessing, {})


@pytest.fixture
def net(store: Store) -> ModelBundle:
    return make_net(store)


@pytest.fixture
def make_run(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunDir]:
    """Makes run directories as made by training, with the tiny model."""
    build = registry.build

    def build_tiny(model: ModelConfig, num_classes: int, crop: int, channels: int = 3) -> nn.Module:
        return Tiny(num_classes) if model == TINY else build(model, num_classes, crop, channels)

    monkeypatch.setattr(registry, "build", build_tiny)

    def make(name: str, seed: int = 0) -> RunDir:
        run = RunDir.create(tmp_path / name, config(seed))
        write_checkpoint(run, make_net(store, seed), "last")
        return run

    return make


def write_checkpoint(run: RunDir, net: ModelBundle, name: str) -> Path:
    folder = run.checkpoints / f"made-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    link = run.checkpoints / name
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)
    path = folder / "weights.safetensors"
    bundle.save(path, bundle.ModelBundle(net.model, net.config, net.classes, net.preprocessing))
    return path


def shuffled(net: ModelBundle, order: list[int]) -> ModelBundle:
    """The same model with its labels in another order."""
    model = Tiny(len(order)).eval()
    model.load_state_dict(net.model.state_dict())
    with torch.no_grad():
        model.fc2.weight.copy_(net.model.fc2.weight[order])
        model.fc2.bias.copy_(net.model.fc2.bias[order])
    return replace(net, model=model, classes=[net.classes[label] for label in order])
