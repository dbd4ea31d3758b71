"""Digits of one channel through the whole program, by each LeNet."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import alexnet
from alexnet.cli.main import main
from alexnet.models.lenet import class_codes
from alexnet.runs.metrics_log import read_metrics

SIDES = {"lenet-1989": 16, "lenet-5": 32, "lenet-modern": 32}
FASTER = {
    "lenet-1989": "optimizer.lr=0.05",
    "lenet-5": "optimizer.lr=0.003",
    "lenet-modern": "optimizer.lr=0.003",
}


def digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(count, 28, 28) uint8 and their labels: the codes' own drawings, doubled, shifted and noisy."""
    random = np.random.default_rng(seed)
    drawings = (class_codes(10).view(10, 12, 7).numpy() > 0).repeat(2, 1).repeat(2, 2)
    labels = np.arange(count) % 10
    images = random.integers(0, 40, (count, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        y, x = random.integers(0, 5), random.integers(5, 10)
        image[y : y + 24, x : x + 14] = np.maximum(image[y : y + 24, x : x + 14], 255 * drawings[label])
    return images, labels.astype(np.uint8)


@pytest.fixture(scope="module")
def idx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of IDX files, as MNIST's."""
    folder = tmp_path_factory.mktemp("idx")
    for part, count in (("train", 400), ("t10k", 100)):
        for kind, values in zip(("images-idx3", "labels-idx1"), digits(count, count), strict=True):
            header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
            packed = gzip.compress(header + values.tobytes(), 1)
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(packed)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SIDES)
def test_digits_in_predictions_out(recipe: str, idx: Path, tmp_path: Path) -> None:
    store, run = tmp_path / "store", tmp_path / "run"
    side = SIDES[recipe]
    assert main(["prepare", str(idx), str(store), *(["--side", "16"] if side == 16 else [])]) == 0
    settings = [FASTER[recipe], "schedule.epochs=8", "training.batch_size=8", "data.max_images=400"]
    settings += ["training.ema_decay=0", "data.cropping=center", "training.evaluate_every_epochs=8"]
    assert main(["train", recipe, "--store", str(store), "--run", str(run), *settings]) == 0
    trained = [line["loss"] for line in read_metrics(run / "metrics.jsonl") if line["event"] == "train"]
    assert trained[-1] < trained[0] / 2
    assert main(["evaluate", str(run), "--store", str(store)]) == 0
    (found,) = json.loads((run / "evaluation.json").read_text())
    assert (found["images"], found["views"]) == (100, "center")  # digits are not mirrored
    assert found["top1_error"] < 0.2

    exported = tmp_path / "net.safetensors"
    assert main(["export", str(run), str(exported)]) == 0
    images, labels = digits(20, 5)
    photos = [Image.fromarray(image) for image in images]
    predictions = alexnet.load(str(exported), device="cpu").predict(photos, top=1)
    right = [prediction[0][1] == str(label) for prediction, label in zip(predictions, labels, strict=True)]
    assert sum(right) >= 16
