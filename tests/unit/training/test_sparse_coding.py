"""The recipe `sparse-coding` on synthetic textures: all its descriptors and codes, from photos to a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet import recipes
from alexnet.cli.main import main
from alexnet.config import override
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.models import bundle
from alexnet.report.comparison import published_rows
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.training import classic_trainer
from alexnet.training.trainer import TrainOptions

CPU = torch.device("cpu")
SIDE = 48
SMALL = {"step": 8, "patches": [16], "codebook_size": 12}
CHANNELS = [
    {"descriptor": each.descriptor, "encoding": each.encoding, "pca": min(each.pca, 16), **SMALL}
    for each in recipes.get("sparse-coding").classic.channels
]
SETTINGS = (
    f"data.image_size={SIDE}",
    f"data.input_size={SIDE}",
    "training.batch_size=8",
    "schedule.epochs=8",
    "classic.sample_descriptors=300",
    f"classic.channels={json.dumps(CHANNELS)}",
)


def texture(label: int, generator: np.random.Generator) -> np.ndarray:
    """(SIDE, SIDE, 3): stripes across, stripes down, or squares, and noise."""
    y, x = np.mgrid[:SIDE, :SIDE] + generator.integers(0, 8)
    waves = (np.sin(y), np.sin(x), np.sin(x) * np.sin(y))[label]
    noisy = 128 + 60 * waves[:, :, None] + generator.normal(0, 20, (SIDE, SIDE, 3))
    return noisy.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder, generator = tmp_path_factory.mktemp("textures"), np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 6)):
        for label in range(3):
            (folder / "photos" / split / f"class{label}").mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(texture(label, generator))
                image.save(folder / "photos" / split / f"class{label}" / f"{number}.png")
    return prepare(
        open_source(folder / "photos"),
        folder / "store",
        PrepareSettings(side=SIDE, encoding="raw"),
        workers=1,
    )


def test_six_models_are_averaged() -> None:
    config = recipes.get("sparse-coding")
    assert config.classic is not None
    kinds = {(each.descriptor, each.encoding) for each in config.classic.channels}
    assert len(config.classic.channels) == len(kinds) == 6, "AlexNet paper, table 1: six models"
    assert {"hog", "lbp", "sift"} == {descriptor for descriptor, _ in kinds}
    assert {"llc", "super-vector", "l1"} == {encoding for _, encoding in kinds}


def test_from_photos_to_a_table(tmp_path: Path, store: Store, capsys: Any) -> None:
    run, given = str(tmp_path / "run"), ["--store", str(store.path)]
    assert main(["train", "sparse-coding", *given, "--run", run, *SETTINGS]) == 0
    assert main(["evaluate", run, *given]) == 0
    (tested,) = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert tested["top1_error"] < 0.2, "stripes and squares are told apart"
    capsys.readouterr()
    assert main(["compare", run]) == 0
    shown = capsys.readouterr().out
    assert any(line.startswith("sparse-coding ") for line in shown.splitlines())
    published = [row.top1_error for row in published_rows(["sparse-coding"])]
    assert 0.471 in published, "the published row of the same system"
    assert "47.1" not in shown, "it is of ImageNet's classes"


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        ({"descriptor": "hog", "patches": [64]}, "no larger than a hog patch of 64"),
        ({"descriptor": "lbp", "pca": 60}, "pca=60 is more than the 59 numbers of lbp"),
        ({"descriptor": "sift", "codebook_size": 3000}, "would learn 3,000 words from 300 descriptors"),
    ],
)
@pytest.mark.parametrize("encoding", ["llc", "super-vector", "l1"])
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, store: Store, channel: dict[str, Any], message: str, encoding: str
) -> None:
    chosen = [{**CHANNELS[0], **channel, "encoding": encoding}]
    wanted = override(recipes.get("sparse-coding"), [*SETTINGS, f"classic.channels={json.dumps(chosen)}"])
    run = RunDir.create(tmp_path / "a", wanted)
    with pytest.raises(CommandError, match=message) as caught:
        classic_trainer.train_pipeline(
            wanted, store, run, evaluate=lambda model: {"top1_error": 0.5}, options=TrainOptions(device=CPU)
        )
    assert "\n" not in str(caught.value)


def test_photos_of_one_color_are_a_defined_result(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for label, grays in enumerate(([10, 20, 30], [200, 210, 220], [128])):
            (tmp_path / "photos" / split / f"class{label}").mkdir(parents=True)
            for gray in grays:
                pixels = np.full((SIDE, SIDE, 3), gray, np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / split / f"class{label}" / f"{gray}.png")
    settings = PrepareSettings(side=SIDE, encoding="raw")
    flat = prepare(open_source(tmp_path / "photos"), tmp_path / "store", settings, workers=1)
    wanted = override(recipes.get("sparse-coding"), list(SETTINGS))
    run = RunDir.create(tmp_path / "a", wanted)
    classic_trainer.train_pipeline(
        wanted, flat, run, evaluate=lambda model: {"top1_error": 0.5}, options=TrainOptions(device=CPU)
    )
    model = bundle.load(find_weights(tmp_path / "a", "last"), "cpu").model
    assert all(value.isfinite().all() for value in model.state_dict().values() if value.is_floating_point())
    odds = model(torch.full((2, 3, SIDE, SIDE), 5.0)).exp()
    torch.testing.assert_close(odds.sum(1), torch.ones(2))
