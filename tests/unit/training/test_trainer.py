"""Parts of the trainer that tests of whole runs do not cover: its loader, and weights that are not finite."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import Diverged
from alexnet.runs.run_dir import RunDir
from alexnet.training.trainer import Trainer, training_loader

CPU = torch.device("cpu")


@pytest.fixture
def whole_photos(tmp_path: Path) -> Store:
    """A store of eight photos of 90 x 72 pixels, not cut to squares."""
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        for number in range(8):
            photo = Image.fromarray(generator.integers(0, 256, (90, 72, 3), dtype=np.uint8))
            (tmp_path / "photos" / split / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
            photo.save(tmp_path / "photos" / split / f"class{number % 2}" / f"{number}.png")
    settings = PrepareSettings(side=72, shape="whole")
    return prepare(open_source(tmp_path / "photos"), tmp_path / "store", settings, workers=1)


def test_the_loader_crops_at_random_scales_as_configured(whole_photos: Store) -> None:
    config = tiny.config("data.scales=[64,72]")
    (batch,) = training_loader(config, whole_photos, CPU).batches(0)
    assert batch.images.shape == (8, 64, 64, 3)
    (batch,) = training_loader(tiny.config(), whole_photos, CPU).batches(0)
    assert batch.images.shape == (8, 72, 72, 3)


@pytest.mark.parametrize(("order", "same"), [("once", True), ("each-epoch", False)])
def test_the_loader_shuffles_as_configured(tiny_store: Store, order: str, same: bool) -> None:
    loader = training_loader(tiny.config(f"data.order={order}"), tiny_store, CPU)
    first, second = (torch.cat([batch.indices for batch in loader.batches(epoch)]) for epoch in (0, 1))
    assert torch.equal(first, second) == same


def test_weights_that_are_not_finite_are_neither_validated_nor_saved(
    tiny_store: Store, tmp_path: Path
) -> None:
    config = tiny.config()
    run = RunDir.create(tmp_path / "run", config)
    trainer = Trainer(config, tiny_store, run, CPU, log=lambda line: None)
    trainer.step = 3
    with torch.no_grad():
        trainer.state.model.get_parameter("fc8.bias")[0] = torch.inf
    message = r"fc8\.bias is not finite after update 3; .*--resume and a lower optimizer\.lr"
    with pytest.raises(Diverged, match=message):
        trainer.save()
    with pytest.raises(Diverged, match=message):
        trainer.validate(lambda model: pytest.fail("validated"))
    assert not list(run.checkpoints.glob("step-*"))
