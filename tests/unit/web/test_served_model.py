"""Boxes of the web demo: those of `alexnet predict`, in fractions of the photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
from http_client import send
from odd_uploads import plain

import alexnet
from alexnet.data.store import Store
from alexnet.tasks import detection
from alexnet.web.served_model import open_model
from alexnet.web.upload import read_upload

TOP = {"overfeat-fast-localization": 1, "overfeat-fast-detection": None}


@pytest.mark.parametrize("recipe", TOP)
def test_the_boxes_equal_those_of_the_command(
    recipe: str, store: Store, tmp_path: Path, serve_model, monkeypatch
) -> None:
    monkeypatch.setattr(detection, "DEFAULT_MIN_SCORE", 0.1)  # untrained models have low probabilities
    run = tiny.box_run(tmp_path / "run", store, recipe).path
    model = open_model(run, "boxes")
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


def test_a_classifier_predicts_no_boxes(models) -> None:
    assert "localize" not in models[0].info().answers
