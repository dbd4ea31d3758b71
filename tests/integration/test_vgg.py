"""A VGG from photos to errors: whole photos at random scales, stopped and resumed, initialized from A's
layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.cli.main import main
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.models import bundle
from alexnet.models.vgg import FROM_A
from alexnet.report.comparison import published_rows
from alexnet.runs.metrics_log import read_metrics

FIELDS = ("model.architecture.widths=[8,8,8,16,16,32,32]", "model.architecture.initialization=glorot")
BATCHNORM = "model.architecture.batchnorm=yes"
SETTINGS = (
    *(
        "data.image_size=48",
        "data.scales=[36,48]",
        "data.input_size=32",
        "training.batch_size=8",
        "training.log_every_steps=1",
    ),
    *("schedule.epochs=2", "optimizer.lr=0.002"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Noise of two brightnesses, wide photos and tall ones, stored whole."""
    folder = tmp_path_factory.mktemp("whole")
    generator = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 6)):
        for label in range(2):
            (folder / "photos" / split / f"class{label}").mkdir(parents=True)
            for number in range(count):
                noise = generator.integers(-40, 40, (60, 60 + 4 * number, 3))
                pixels = (80 + 90 * label + noise).clip(0, 255).astype(np.uint8)
                photo = Image.fromarray(pixels if number % 2 else pixels.transpose(1, 0, 2))
                photo.save(folder / "photos" / split / f"class{label}" / f"{number}.png")
    made = PrepareSettings(side=48, shape="whole")
    return prepare(open_source(folder / "photos"), folder / "store", made, workers=1)


def train(recipe: str, store: Store, run: Path, *more: str) -> int:
    words = ["train", recipe, "--store", str(store.path), "--run", str(run), "--device", "cpu"]
    return main([*words, *SETTINGS, *FIELDS, *more])


def weights(run: Path) -> dict[str, torch.Tensor]:
    return bundle.load(run / "checkpoints" / "last" / "weights.safetensors", "cpu").model.state_dict()


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in read_metrics(run / "metrics.jsonl") if line["event"] == "train"]


@pytest.mark.parametrize("setting", ["model.architecture.lrn=yes", BATCHNORM])
def test_stopped_and_resumed_at_random_scales_it_ends_bit_for_bit_equal(
    store: Store, tmp_path: Path, setting: str
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train("vgg-a", store, whole, setting) == 0
    assert train("vgg-a", store, stopped, setting, "--minutes", "0") == 75
    assert train("vgg-a", store, stopped, setting, "--resume") == 0
    assert losses(stopped) == losses(whole)
    wanted = weights(whole)
    assert all(torch.equal(wanted[name], tensor) for name, tensor in weights(stopped).items())


def test_deeper_models_are_initialized_from_layers_of_a_and_train(
    store: Store, tmp_path: Path, capsys
) -> None:
    a, d = tmp_path / "a", tmp_path / "d"
    assert train("vgg-d", store, d) == 2
    assert "vgg-d fine-tunes a trained model: type --init-from RUN" in capsys.readouterr().err
    assert not d.exists()
    assert train("vgg-a", store, a) == 0
    begin = ("--init-from", str(a), "--init-layers", ",".join(FROM_A))
    assert train("vgg-d", store, d, *begin, "optimizer.lr=1e-12") == 0
    (begun,) = [line for line in read_metrics(d / "metrics.jsonl") if line["event"] == "init-from"]
    copied = [f"{layer}.{kind}" for layer in FROM_A for kind in ("weight", "bias")]
    assert sorted(begun["copied"]) == sorted(copied)
    for name in copied:
        torch.testing.assert_close(weights(d)[name], weights(a)[name], rtol=0, atol=1e-9)


def test_it_is_tested_at_the_middle_of_its_scales_and_is_in_the_table(
    store: Store, tmp_path: Path, capsys
) -> None:
    run = tmp_path / "run"
    assert train("vgg-a", store, run, BATCHNORM, "schedule.epochs=8") == 0
    assert main(["evaluate", str(run), "--store", str(store.path), "--views", "center"]) == 0
    assert losses(run)[-1] < 0.7 * losses(run)[0]
    capsys.readouterr()
    assert main(["compare", str(run)]) == 0
    shown = capsys.readouterr().out
    assert any(line.startswith("vgg-a ") and " center " in line for line in shown.splitlines())
    assert "VGG A" not in shown, "published errors are of ImageNet's classes"
    published = {row.system: row.top1_error for row in published_rows(["vgg-a"])}
    assert published["VGG A, S = 256"] == 0.296 and "VGG D" not in " ".join(published)
