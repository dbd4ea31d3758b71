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
from alexnet.tasks import detection
from alexnet.web.served_model import open_models
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
