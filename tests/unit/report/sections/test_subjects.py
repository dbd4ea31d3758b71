"""Which runs can be in one report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import DataError
from alexnet.report.sections.subjects import Subject, refuse_different_data
from alexnet.runs import predictions
from alexnet.runs.environment import Environment
from alexnet.runs.predictions import Predictions, left_out_path
from alexnet.runs.results import ViewSet


def test_predictions_of_training_photos_do_not_make_different_stores_the_same(tmp_path: Path) -> None:
    runs = [tmp_path / "one", tmp_path / "other"]
    made = Predictions(
        split="train",
        views=ViewSet("center"),
        keys=np.array(["cat/0", "dog/0"]),
        classes=np.array(["cat", "dog"]),
        weights_digest="",
        store_digest="",
        probabilities=np.full((2, 2), 0.5, np.float32),
        labels=np.arange(2),
        names=np.array(["cat", "dog"]),
    )
    for run in runs:
        predictions.save(made, left_out_path(run))
    subjects = [Subject(run, run, "run", environment=Environment(store_digest=run.name)) for run in runs]
    with pytest.raises(DataError, match="were trained on different photos"):
        refuse_different_data(subjects)
    for run in runs:
        predictions.save(made, predictions.path_of(run, "val", "center"))
    refuse_different_data(subjects)
