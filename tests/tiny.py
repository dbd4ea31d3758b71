"""A data set and a model so small that training takes seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from alexnet import recipes
from alexnet.config import RunConfig, override
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.evaluation.inference import InferenceOptions
from alexnet.evaluation.prediction_cache import predict_split
from alexnet.models import bundle
from alexnet.models.bundle import ModelBundle
from alexnet.models.registry import build
from alexnet.runs.environment import Environment
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet
from alexnet.runs.run_dir import RunDir
from alexnet.tasks.classification import Classification

CLASSES, TRAIN_PER_CLASS, VAL_PER_CLASS, SIDE_PIXELS = 3, 16, 7, 72
RECIPE = "alexnet-one-weird-trick"
SETTINGS = (
    "data.image_size=72",
    "data.input_size=64",
    "model.variant=one-weird-trick",
    "model.architecture.widths=[8,8,8,8,8,32,32]",
    "training.batch_size=8",
    "training.log_every_steps=1",
    "schedule.epochs=3",
)

TOWERS = (
    "model.variant=2012",
    "model.architecture.widths=[8,16,24,24,16,32,32]",
    "model.architecture.initialization=kaiming",
)
"""Settings: the same with two towers."""


def photos(folder: Path) -> Path:
    """Noise of three brightnesses, in `train/` and `val/` folders of class folders."""
    generator = np.random.default_rng(0)
    for split, count in (("train", TRAIN_PER_CLASS), ("val", VAL_PER_CLASS)):
        for label in range(CLASSES):
            (folder / split / f"class{label}").mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(-40, 40, (SIDE_PIXELS, SIDE_PIXELS, 3))
                pixels = (70 + 50 * label + noise).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / f"class{label}" / f"{number}.png")
    return folder


def store(folder: Path) -> Store:
    """The photos as a raw store."""
    source = open_source(photos(folder / "photos"))
    return prepare(source, folder / "store", PrepareSettings(side=SIDE_PIXELS, encoding="raw"), workers=1)


def config(*settings: str) -> RunConfig:
    """A run of 18 updates in 3 epochs, with dropout and color noise."""
    return override(recipes.get(RECIPE), [*SETTINGS, *settings])


def run(folder: Path, store: Store, *settings: str, seed: int = 5) -> RunDir:
    """A run directory as made by training, but with random weights and an empty log."""
    return _run(folder, store, config(*settings), seed)


def box_run(folder: Path, store: Store, recipe: str = "overfeat-fast-localization", seed: int = 5) -> RunDir:
    """The same for an OverFeat with boxes, which are also random."""
    return _run(folder, store, override(recipes.get(recipe), box_settings(recipe)), seed=5)


def box_settings(recipe: str) -> list[str]:
    """A small OverFeat with boxes."""
    return [
        f"data.image_size={SIDE_PIXELS}",
        "data.input_size=64",
        f"data.test_scales=[{SIDE_PIXELS}]",
        "model.architecture.widths=[4,6,8,8,8,16,12]",
        "model.architecture.regression=[10,6]",
        f"model.architecture.window={64 if recipe.endswith('detection') else 0}",
    ]


def _run(folder: Path, store: Store, settled: RunConfig, seed: int) -> RunDir:
    made = RunDir.create(folder, settled)
    torch.manual_seed(seed)
    model = build(settled.model, len(store.classes), settled.data.input_size).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) / max(1, parameter[0].numel()) ** 0.5)
    preprocessing = Preprocessing.from_store(settled.data, store)
    for name in ("last", "best"):
        path = made.checkpoints / name / "weights.safetensors"
        bundle.save(path, bundle.ModelBundle(model, settled, store.classes, preprocessing))
    (made.checkpoints / "last" / "meta.json").write_text('{"step": 18, "epoch": 3}')
    made.write_environment(Environment(store="store", store_digest=store.digest))
    made.metrics_file.write_text('{"event": "result", "step": 18, "epoch": 3}\n')
    return made


def predict(net: ModelBundle, store: Store, split: str = "val", views: str = "ten", **options) -> Predictions:
    """The class probabilities for all images of a split; `views` as `dense@256,288`."""
    task = Classification(net.config, len(net.classes))
    return predict_split(task, net, store, split, ViewSet.parse(views), InferenceOptions(**options))
