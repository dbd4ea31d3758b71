"""Boxes of the web demo: those of `alexnet predict`, in fractions of the photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from evaluations import calibration
from http_client import send
from odd_uploads import plain

import alexnet
from alexnet.data.store import Store
from alexnet.runs.calibration import write_calibration
from alexnet.runs.run_dir import EnsembleDir, EnsembleMember, RunDir
from alexnet.tasks import detection
from alexnet.web.served_model import add_similar, open_models, served_paths
from alexnet.web.upload import read_upload

TOP = {"overfeat-fast-localization": 1, "overfeat-fast-detection": None}


@pytest.mark.parametrize("recipe", TOP)
def test_the_boxes_equal_those_of_the_command(
    recipe: str, store: Store, tmp_path: Path, serve_model, monkeypatch
) -> None:
    monkeypatch.setattr(detection, "DEFAULT_MIN_SCORE", 0.1)  # untrained models have low probabilities
    run = tiny.box_run(tmp_path / "run", store, recipe).path
    (model,) = open_models([run])
    assert "localize" in model.info().answers
    response = send(f"{serve_model(model)}/api/localize", plain())
    assert response.status == 200
    pixels = read_upload(plain()).pixels
    height, width = pixels.shape[:2]
    (wanted,) = alexnet.load(run).predict(pixels, top=TOP[recipe])
    found = response.json["boxes"]
    assert [(box["wnid"], box["score"]) for box in found] == [
        (place.wnid, pytest.approx(place.score)) for place in wanted
    ]
    assert found
    corners = np.array([[box[edge] for edge in ("x0", "y0", "x1", "y1")] for box in found])
    assert corners * [width, height, width, height] == pytest.approx(np.array([each.box for each in wanted]))
    assert 0 <= corners.min() <= corners.max() <= 1


def test_probabilities_are_calibrated_for_the_views_of_the_calibration(
    store: Store, tmp_path: Path, serve_model
) -> None:
    run = tiny.run(tmp_path / "run", store)
    write_calibration(run, calibration(temperature=3.0, updates=18))
    url = serve_model(*open_models([run.path]))
    pixels = read_upload(plain()).pixels
    loaded = alexnet.load(run.path)
    for views in ("center", "ten"):
        response = send(f"{url}/api/classify?views={views}", plain())
        wanted = loaded.probabilities(pixels, views)[0]
        found = [each["probability"] for each in response.json["classes"]]
        assert found == pytest.approx(sorted(wanted.tolist(), reverse=True), abs=1e-5)
    write_calibration(run, calibration(temperature=1.0, updates=18))
    plain_ones = alexnet.load(run.path)
    center, ten = (plain_ones.probabilities(pixels, views).max() for views in ("center", "ten"))
    assert loaded.probabilities(pixels, "center").max() < center
    assert loaded.probabilities(pixels, "ten").max() == ten


def test_a_classifier_predicts_no_boxes(models) -> None:
    assert "localize" not in models[0].info().answers


def test_an_ensemble_is_served_as_its_average_followed_by_its_models(
    store: Store, tmp_path: Path, serve_model
) -> None:
    folder = tmp_path / "average"
    tiny.run(folder / "wide", store)
    tiny.run(folder / "narrow", store, "data.input_size=67", seed=6)
    names = [EnsembleMember(name=name, pretraining=False) for name in ("wide", "narrow")]
    EnsembleDir(folder).write("average", names)
    write_calibration(RunDir(folder), calibration(temperature=3.0, updates=36))
    models = open_models([folder])
    assert [each.name for each in models] == ["average", "wide", "narrow"]
    assert served_paths([folder]) == [folder, folder / "wide", folder / "narrow"]
    about = models[0].info()
    assert (about.recipe, about.trained) == ("average of 2 models", "wide, narrow")
    assert (about.answers, models[1].info().answers) == (["classify"], ["classify", "saliency"])
    add_similar(models[0], folder, store)
    assert models[0].analyses.similar is None
    url, pixels = serve_model(models[0]), read_upload(plain()).pixels
    for views in ("center", "ten"):
        found = send(f"{url}/api/classify?views={views}&crops=1", plain()).json
        wanted = alexnet.load(folder, "cpu").predict(pixels, views=views)[0]
        assert [each["wnid"] for each in found["classes"]] == [each.wnid for each in wanted]
        probabilities = [each["probability"] for each in found["classes"]]
        assert probabilities == pytest.approx([each.probability for each in wanted], abs=1e-5)
        assert len(found["crops"]) == (10 if views == "ten" else 1)


def test_an_ensemble_of_one_model_is_served_as_that_model(store: Store, tmp_path: Path) -> None:
    run = tiny.run(tmp_path / "fit" / "linear", store)
    EnsembleDir(tmp_path / "fit").write("fit", [EnsembleMember(name="linear", pretraining=False)])
    write_calibration(run, calibration(temperature=3.0, updates=18))
    (model,) = open_models([tmp_path / "fit"])
    assert model.info().answers == ["classify", "saliency"]
    assert model.classifier.calibration is not None
