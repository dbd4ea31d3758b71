"""Every recipe at a tiny size is built, counted, trained, evaluated, exported and used for a prediction.

With several numbers of classes and with color and gray images; combinations that a model does not support are
refused in one line, before anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from unit.data.memory_source import png, source

import alexnet
from alexnet import recipes
from alexnet.cli.main import main
from alexnet.config import RunConfig, override
from alexnet.data.manifest import PrepareSettings
from alexnet.data.prepare import prepare
from alexnet.data.sources import Example
from alexnet.data.sources.base import Box
from alexnet.data.store import Store
from alexnet.models.summary import summarize
from alexnet.training.preview import preview

CLASSES, CHANNELS = (2, 4, 10, 37), (1, 3)
SMALL_SIDE, OVERFEAT_SIDE = 32, 72
COLOR_ONLY = ("vgg", "overfeat", "overfeat-localizer", "overfeat-detector")
"""Models for color images only."""
WIDTHS = {
    "alexnet": {"": [4, 8, 8, 8, 4, 8, 8], "2012-star": [4, 8, 8, 8, 4, 4, 8, 8]},
    "vgg": {"": [2, 2, 4, 4, 4, 8, 8]},
    "overfeat": {"": [4, 6, 8, 8, 8, 16, 12], "accurate": [4, 6, 8, 8, 8, 8, 16, 12]},
}


def photo(label: int, number: int, side: int) -> np.ndarray:
    """Noise around a brightness of its class."""
    noise = np.random.default_rng(1000 * label + number).integers(-30, 30, (side, side, 3))
    return (40 + 5 * label + noise).clip(0, 255).astype(np.uint8)


def example(label: int, number: int, side: int) -> Example:
    box = Box(label, 0.1, 0.1, 0.8, 0.9)
    return Example(png(photo(label, number, side)), label, f"{label}/{number}.png", boxes=(box,))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int, int], Store]:
    """A store by its side, number of classes and channels, prepared when it is first needed."""

    @cache
    def make(side: int, classes: int, channels: int) -> Store:
        train = [example(label, number, side) for label in range(classes) for number in range(2)]
        val = [example(label, 2, side) for label in range(classes)]
        folder = tmp_path_factory.mktemp("store") / "store"
        settings = PrepareSettings(side=side, channels=channels, encoding="raw")
        return prepare(source(train=train, val=val), folder, settings, workers=1)

    return make


def settings_of(recipe: str, classes: int, channels: int) -> list[str]:
    """Settings that make the recipe tiny: one update on tiny images."""
    config = recipes.get(recipe)
    side = OVERFEAT_SIDE if config.model.name.startswith("overfeat") else SMALL_SIDE
    settings = [f"image_size={side}", f"epochs={1}", f"batch_size={2 * classes}", "log_every_steps=1"]
    if config.classic is not None:
        channel = {"step": 8, "patches": [16], "pca": 4, "codebook_size": 4, "pyramid": ["1x1"]}
        listed = [
            {**channel, "descriptor": each.descriptor, "encoding": each.encoding, "pca": min(each.pca, 4)}
            for each in config.classic.channels
        ]
        return [*settings, f"input_size={side}", "held_out=0", f"channels={json.dumps(listed)}"]
    settings += [f"data.channels={channels}", "fine_tuning=no", "warmup_epochs=0"]
    if channels == 1:
        settings += ["pca_lighting=none", "color_jitter=0"]
    match config.model.name:
        case "alexnet":
            settings += [f"input_size={side - 4}", "conv1_size=5", "conv1_stride=1"]
        case "lenet":
            settings += [f"input_size={28 if config.model.variant == 'modern' else side}", "max_images=0"]
            return settings
        case "vgg":
            settings += [f"input_size={side}", "scales=[0,0]"]
        case "overfeat" | "overfeat-localizer" | "overfeat-detector":
            settings += ["input_size=64", f"test_scales=[{side}]", "regression=[6,4]", "milestones=[]"]
            settings += ["schedule.name=constant"]
            settings += ["window=64"] if config.model.name == "overfeat-detector" else []
        case name:
            pytest.fail(f"give {name} a tiny size here")
    widths = WIDTHS[config.model.name.partition("-")[0]]
    return [*settings, f"widths={widths.get(config.model.variant, widths[''])}".replace(" ", "")]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(words)
    return code, *capsys.readouterr()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("recipe", recipes.names())
def test_a_recipe_goes_all_the_way_or_is_refused_in_one_line(
    recipe: str,
    classes: int,
    channels: int,
    stores: Callable[[int, int, int], Store],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = settings_of(recipe, classes, channels)
    config = override(recipes.get(recipe), settings)
    store = stores(config.data.image_size, classes, channels)
    folder, file = tmp_path / "run", tmp_path / "model.safetensors"
    train = ["train", recipe, "--store", str(store.path), "--run", str(folder), "--device", "cpu", *settings]
    code, _, error = run(train, capsys)
    if refused := cannot(config, channels):
        assert (code, len(error.strip().splitlines())) == (2, 1)
        assert refused in error
        assert not folder.exists()
        return
    assert code == 0, error
    assert summarize(config, classes).parameters > 0
    if config.classic is None:
        shown = preview(config, store, photos=2, epochs=2)
        assert {each.augmented[1].shape for each in shown} == {
            (config.data.input_size, config.data.input_size, channels)
        }
    code, printed, error = run(
        ["evaluate", str(folder), "--store", str(store.path), "--views", "center", "--json"], capsys
    )
    assert code == 0, error
    assert json.loads(printed)["images"] == classes
    assert run(["export", str(folder), str(file)], capsys)[0] == 0
    path = tmp_path / "photo.png"
    Image.fromarray(photo(0, 9, config.data.image_size)).save(path)
    probabilities = alexnet.load(file, device="cpu").probabilities([path], views="center")
    assert probabilities.shape == (1, classes)
    assert probabilities.sum() == pytest.approx(1, abs=1e-4)


def cannot(config: RunConfig, channels: int) -> str:
    """Part of the message that refuses a model for such images; empty if it can have them."""
    if channels == 1 and config.classic is not None:
        return "channels"
    return "--channels 3" if channels == 1 and config.model.name in COLOR_ONLY else ""
