"""The page of a detector: no figure fails, and a sentence names those that it lacks."""

from __future__ import annotations

from pathlib import Path

import torch
from unit.data.store_makers import make_store, row

from alexnet import recipes
from alexnet.config import override
from alexnet.data.preprocessing import Preprocessing
from alexnet.data.sources import Box
from alexnet.data.store import Store
from alexnet.models import bundle
from alexnet.models.registry import build_run
from alexnet.report.build import build_report
from alexnet.runs.environment import Environment
from alexnet.runs.run_dir import RunDir

SIDE, CROP = 96, 80
SETTINGS = (
    f"data.image_size={SIDE}",
    f"data.input_size={CROP}",
    f"data.test_scales=[{SIDE}]",
    "model.architecture.widths=[4,6,8,8,8,16,12]",
    "model.architecture.initialization=kaiming",
    "model.architecture.regression=[10,6]",
    "model.architecture.window=64",
)
LEFT_OUT = (
    *("Predictions", "Confusions", "Nearest training images", "Ten crops", "Activations"),
    *("Saliency", "Map of the test images"),
)


def test_figures_about_one_class_per_photo_are_left_out_for_a_detector_with_a_sentence(
    tmp_path: Path,
) -> None:
    rows = [row(n, SIDE, boxes=(Box(n % 3, 0.1, 0.1, 0.5, 0.5),)) for n in range(4)]
    store = Store.open(make_store(tmp_path / "store", {"train": rows, "val": rows}, SIDE))
    config = override(recipes.get("overfeat-fast-detection"), SETTINGS)
    run = RunDir.create(tmp_path / "finds", config)
    run.write_environment(Environment())
    torch.manual_seed(0)
    net, weights = build_run(config, len(store.classes)), run.checkpoints / "last" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    preprocessing = Preprocessing.from_store(config.data, store)
    bundle.save(weights, bundle.ModelBundle(net.eval(), config, store.classes, preprocessing))
    page = build_report([run.path], store)
    assert "this model was built for" not in page and ">No " not in page
    assert page.count("finds is a detector: it classifies windows of photos with several objects") == 1
    assert [title for title in LEFT_OUT if title in page] == []
    assert "First-layer filters" in page and "Detections" in page
