"""Dropout as model averaging: the masks of our own layers against every mask by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.experiments import model_averaging
from alexnet.experiments.model_averaging import average_masks, dropped_layers, read_model_averaging
from alexnet.models import bundle
from alexnet.models.alexnet import AlexNet
from alexnet.models.bundle import ModelBundle
from alexnet.models.config import ALEXNET_VARIANTS
from alexnet.runs.run_dir import RunDir, find_weights


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, store: Store) -> RunDir:
    return tiny.run(tmp_path_factory.mktemp("averaged") / "run", store)


@pytest.fixture
def loaded(run: RunDir) -> ModelBundle:
    return bundle.load(find_weights(run.path), "cpu", needs_weights=True)


def test_the_mean_is_that_of_many_forward_passes(loaded: ModelBundle, store: Store) -> None:
    found = average_masks(loaded, store, masks=60, seeds=(0, 1))
    assert found.layers == ("conv5", "fc6") and found.photos == 21 and found.split == "val"
    assert [len(each) for each in (found.errors, found.errors[0], found.nll[1])] == [2, 60, 60]
    made = tiny.predict(loaded, store, "val", "center")
    assert found.scaled_error == (made.probabilities.argmax(1) != made.labels).mean()
    picked = made.probabilities[np.arange(21), made.labels].astype(np.float64)
    assert found.scaled_nll == pytest.approx(float(-np.log(picked).mean()), rel=1e-4)
    assert found.distances[0][-1] < found.distances[0][0]
    assert found.nll[0][-1] == pytest.approx(found.nll[1][-1], abs=0.3)
    again = average_masks(loaded, store, masks=3, seeds=(1,))
    assert again.nll[0] == pytest.approx(found.nll[1][:3]) and again.errors[0] == found.errors[1][:3]
    assert not loaded.model.training


def test_random_masks_have_the_mean_over_all_masks() -> None:
    """A network with three units in fc6 and fc7 has 64 masks: their mean is the limit of the random ones."""
    torch.manual_seed(0)
    small = replace(ALEXNET_VARIANTS["2012"], widths=(8, 8, 8, 8, 8, 3, 3), towers=1)
    model = AlexNet(small, 3, 64).eval()
    with torch.no_grad():
        for layer in (model.fc6, model.fc7, model.fc8):
            layer.weight.normal_(0, 1)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
        hidden = torch.rand(5, model.fc6.in_features)  # pyright: ignore
        every = []
        for bits in product((0.0, 1.0), repeat=6):
            mask = torch.tensor(bits)
            first = model.fc6(hidden).relu() * mask[:3]  # pyright: ignore
            every.append(model.fc8(model.fc7(first).relu() * mask[3:]).softmax(1))  # pyright: ignore
        for module in model.modules():
            if isinstance(module, model_averaging.MaskDropout):
                module.train()
        first_layer = model.layers.index("fc6")
        drawn = [model_averaging._rest(model, first_layer, hidden).softmax(1) for _ in range(6000)]
    assert torch.stack(drawn).mean(0).numpy() == pytest.approx(torch.stack(every).mean(0).numpy(), abs=0.02)


def test_a_model_without_dropout_is_refused(loaded: ModelBundle) -> None:
    assert dropped_layers(loaded.model) == ("conv5", "fc6")  # as in torchvision: dropout before fc6 and fc7
    assert dropped_layers(AlexNet("2012", 3, 64)) == ("fc6", "fc7")
    with pytest.raises(CommandError, match="no dropout"):
        dropped_layers(AlexNet("2012", 3, 64, dropout=0.0))
    with pytest.raises(CommandError, match="no dropout"):
        dropped_layers(torch.nn.Linear(2, 2))


def test_the_command_writes_figures_and_numbers(
    run: RunDir, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lecture"
    words = ["lecture", "--out", str(out), "--masks", "4", "--seeds", "2", "--photos", "9", "--device", "cpu"]
    assert main([*words, "--model", str(run.path), "--store", str(store.path)]) == 0
    printed = capsys.readouterr().out
    assert "at most 52.2, at 200" in printed and "2012 SuperVision 15.3 %" in printed
    assert "all units, scaled" in printed
    for name in ("response-norm", "contest", "model-averaging"):
        with Image.open(out / f"{name}.png") as picture:
            assert picture.width > 800
        assert (out / f"{name}.svg").stat().st_size > 1000
    found = read_model_averaging(out)
    assert found is not None and (found.photos, found.seeds, len(found.nll[0])) == (9, (0, 1), 4)
    assert json.loads((out / "model-averaging.json").read_text())["scaled_error"] == found.scaled_error
    assert read_model_averaging(tmp_path) is None
    assert main([*words, "--model", str(run.path)]) == 2
    assert "both --model RUN and --store STORE" in capsys.readouterr().err
