"""Any torch model is tested and predicts like a model of this package."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from reports import Seen
from torch import nn

import alexnet
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.errors import AlreadyExists, CommandError
from alexnet.evaluation.calibration import CalibrateOptions, calibrate


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("tiny"))


def brightness(mean: float = 0.0, std: float = 1.0) -> nn.Module:
    """Logits by the distance of an image's mean from the brightness of each of the three classes."""
    layers = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    levels = (torch.tensor([70.0, 120.0, 170.0]) / 255 - mean) / std
    with torch.no_grad():  # -(x - level)**2 without what is the same for all classes
        layers[2].weight.copy_(100 * 2 * levels[:, None].expand(3, 3) / 3)
        layers[2].bias.copy_(-100 * levels**2)
    return layers


class Picky(nn.Module):
    """A model with a check of its own, as in libraries of models."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[2] == 224, "only 224 pixels"
        return images.mean((2, 3))


def test_a_sequential_is_tested_with_ten_crops(store: Store) -> None:
    predictor = alexnet.wrap_model(
        brightness(), store, input_size=64, mean=(0, 0, 0), std=(1, 1, 1), name="brightness", device="cpu"
    )
    result = alexnet.evaluate_model(predictor, store, views="ten")
    assert (result.images, result.top1_errors, str(result.views)) == (21, 0, "ten")
    assert repr(result).startswith("EvalResult(brightness on val of store, ten: 21 images, top-1 error 0.0 %")
    photo = np.full((90, 80, 3), 120, np.uint8)
    ((best,),) = predictor.predict(photo, top=1)
    assert best.name == "class1"
    with pytest.raises(CommandError, match="has no hidden layer"):
        predictor.features(photo)


def test_inputs_are_normalized_as_in_torchvision(store: Store) -> None:
    colors = {"mean": np.full(3, 0.4), "std": np.full(3, 0.2)}
    predictor = alexnet.wrap_model(brightness(0.4, 0.2), store, **colors, device="cpu")
    assert alexnet.evaluate_model(predictor, store, views="center").top1_errors == 0
    image = torch.full((72, 72, 3), 204, dtype=torch.uint8)
    torch.testing.assert_close(predictor.preprocessing(image), torch.full((3, 72, 72), 2.0))


def test_a_run_is_tested_like_by_evaluate(store: Store, tmp_path: Path) -> None:
    run = tiny.run(tmp_path / "run", store)
    (wanted,) = alexnet.evaluate(run.path, store, views="ten", device="cpu")
    found = alexnet.evaluate_model(alexnet.load(run.path, device="cpu"), store, views="ten")
    assert (found.top1_errors, found.per_class) == (wanted.top1_errors, wanted.per_class)
    assert found.nll == pytest.approx(wanted.nll, rel=1e-6)


def test_the_default_views_are_those_of_the_training(store: Store, tmp_path: Path) -> None:
    for mirror, views in (("yes", "ten"), ("no", "center")):
        run = tiny.run(tmp_path / mirror, store, f"data.mirror={mirror}")
        assert str(alexnet.evaluate_model(alexnet.load(run.path, device="cpu"), store).views) == views


def test_a_calibrated_model_is_tested_with_the_views_it_is_calibrated_for(
    store: Store, tmp_path: Path
) -> None:
    run = tiny.run(tmp_path / "run", store, "data.mirror=yes")
    calibrate(run.path, store, CalibrateOptions(views="center", device="cpu"))
    assert str(alexnet.evaluate_model(alexnet.load(run.path, device="cpu"), store).views) == "center"


def test_saved_results_are_compared_with_those_of_a_run(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tiny.run(tmp_path / "run", store), tmp_path / "results" / "brightness"
    alexnet.evaluate(run.path, store, views="ten", device="cpu")
    predictor = alexnet.wrap_model(
        brightness(), store, input_size=64, mean=(0, 0, 0), std=(1, 1, 1), name="brightness", device="cpu"
    )
    for views in ("ten", "center", "ten"):
        alexnet.evaluate_model(predictor, store, views=views, out=out)
    assert main(["compare", str(run.path), str(out), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert [each["views"] for each in rows] == ["ten", "center", "ten"]
    assert rows[2]["top1_error"] == 0
    assert rows[2]["difference"] == pytest.approx(rows[0]["top1_error"])
    other = alexnet.wrap_model(brightness(), store, input_size=64, name="other", device="cpu")
    for taken in (run.path, out, tmp_path):
        with pytest.raises(AlreadyExists, match="something else than results of other"):
            alexnet.evaluate_model(other, store, out=taken)


@pytest.fixture(scope="module")
def page(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Seen]:
    """Writes the report of a folder of results of a model that mistakes some images, and reads it."""
    folder = tmp_path_factory.mktemp("results") / "levels"
    model = brightness()
    with torch.no_grad():
        model[2].bias[1] -= 15
    predictor = alexnet.wrap_model(
        model, store, input_size=64, mean=(0, 0, 0), std=(1, 1, 1), name="brightness", device="cpu"
    )
    assert 0 < alexnet.evaluate_model(predictor, store, views="center", out=folder).top1_errors < 21
    (folder / "model.pt").write_bytes(b"a file of the model's own")

    def write(*words: str) -> Seen:
        out = tmp_path_factory.mktemp("page")
        assert main(["report", str(folder), *words, "--out", str(out), "--device", "cpu"]) == 0
        return Seen((out / "report.html").read_text("utf-8"))

    return write


OF_PREDICTIONS = ("Bars of the pairs that are confused", "Confusion matrix: rows", "Accuracy by confidence")
OF_PHOTOS = ("of them correct", "photos whose wrong class has the highest probability", "with photos")


def figures(seen: Seen) -> str:
    return " | ".join(each["alt"] for each in seen.all("img"))


def test_a_report_of_results_shows_what_needs_only_predictions(page, store: Store) -> None:
    seen = page("--store", str(store.path))
    assert [each for each in (*OF_PREDICTIONS, *OF_PHOTOS) if each not in figures(seen)] == []
    assert "Results of the model brightness, which was tested with alexnet.evaluate_model." in seen.text
    assert "filters, nearest images, crops, activations and saliency maps are only shown of runs" in seen.text
    assert "Data: store, 3 classes, 48 images in train" in seen.text
    assert "type alexnet calibrate" not in seen.text


def test_a_report_of_results_without_photos_says_what_to_type(page) -> None:
    seen = page()
    assert [each for each in OF_PREDICTIONS if each not in figures(seen)] == []
    assert [each for each in OF_PHOTOS if each in figures(seen)] == []
    assert "levels --store STORE --out DIR (it was tested on store) to see them" in seen.text


def test_a_report_has_results_beside_a_run(page, store: Store, tmp_path: Path) -> None:
    run = tiny.run(tmp_path / "run", store)
    alexnet.evaluate(run.path, store, views="center", device="cpu")
    seen = page(str(run.path), "--store", str(store.path), "--detailed", "0")
    assert figures(seen).count("Accuracy by confidence") == 2
    assert {"levels", "run"} <= {*seen.words}


def test_a_run_that_has_lost_its_configuration_is_not_taken_for_results(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tiny.run(tmp_path / "run", store)
    alexnet.evaluate(run.path, store, views="center", device="cpu")
    run.config_file.unlink()
    assert main(["report", str(run.path), "--out", str(tmp_path / "page")]) == 2
    assert "it has no config.json" in capsys.readouterr().err


def test_what_does_not_fit_is_refused(store: Store) -> None:
    with pytest.raises(CommandError, match=r"returns \(2, 5\) for 2 images, expected logits \(2, 3\)"):
        alexnet.wrap_model(nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), store, device="cpu")
    with pytest.raises(CommandError, match=r"does not take images \(2, 3, 72, 72\)"):
        alexnet.wrap_model(nn.Linear(5, 3), store, device="cpu")
    with pytest.raises(CommandError, match=r"does not take images .*: only 224 pixels"):
        alexnet.wrap_model(Picky(), store, device="cpu")
    with pytest.raises(CommandError, match="must be 3 fractions of white"):
        alexnet.wrap_model(brightness(), store, mean=(123, 117, 104), device="cpu")
    with pytest.raises(CommandError, match=r"std=.* must be 3 fractions of white, in 1/255\.\.1"):
        alexnet.wrap_model(brightness(), store, std=3 * [0.003], device="cpu")
