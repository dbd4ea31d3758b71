"""Recorded boxes stand beside those that know nothing of the photo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alexnet.report import boxes
from alexnet.report.evaluation_tables import detection_table
from alexnet.tasks import detection
from tools import recorded_runs


def localized(error: float) -> dict[str, Any]:
    rates = {"top5_localization_error": error, "top5_localization_interval": [error - 0.1, error + 0.1]}
    return {**rates, "top1_localization_error": 0.7, "top5_error": 0.2, "images": 1500}


def evidence(results: Path, name: str, recipe: str, **found: Any) -> None:
    (results / name).mkdir(parents=True)
    plain = {"views": "ten", "runs": [{"recipe": recipe}]}
    boxed = {**plain, "views": "dense@72", "store": "scenes", "split": "val", **found}
    (results / name / "evaluation.json").write_text(json.dumps([plain, boxed]))


def test_a_localization_stands_beside_its_baselines(tmp_path: Path) -> None:
    baselines = {name: localized(0.6 + place / 100) for place, name in enumerate(boxes.BASELINES)}
    evidence(tmp_path, "one", "here", localization={**localized(0.4), "baselines": baselines})
    (row,) = boxes.localization(tmp_path).rows
    assert row[:3] == ["[`here`](results/one)", "dense@72", "40.0 (30.0-50.0)"]
    assert [each.partition(" ")[0] for each in row[3:6]] == ["60.0", "61.0", "62.0"]
    assert row[6:] == ["20.0", "70.0", "1,500"]


def test_a_detection_stands_beside_its_windows(tmp_path: Path) -> None:
    found = {"mean_average_precision": 0.5, "precision_of_windows": 0.35, "objects": 1318, "images": 400}
    evidence(tmp_path, "two", "all", detection=found)
    assert boxes.objects(tmp_path).rows == [
        ["[`all`](results/two)", "scenes val", "50.0", "35.0", "1,318", "400"]
    ]


@pytest.mark.parametrize(("views", "seen"), [("ten", "dense"), ("dense@72,96", "dense@72,96")])
def test_objects_have_the_names_of_their_classes_and_the_views_they_were_found_in(
    views: str, seen: str
) -> None:
    of_class = {"wnid": "n1", "objects": 3, "detections": 9, "found": 1, "average_precision": 0.25}
    entry = {
        "store": "scenes",
        "split": "val",
        "views": views,
        "runs": [{"run": "mine", "checkpoint": "last"}],
        "per_class": [{"wnid": "n1", "name": "baboon"}],
        "detection": {"per_class": [of_class], "mean_average_precision": 0.25, "objects": 3},
    }
    table = detection_table(entry)
    assert table.title == f"Objects that mine finds on scenes val, views {seen}"
    assert [*table.rows[0]] == ["n1", "baboon", "25.0", "3", "9"]
    assert seen.startswith(detection.VIEWS)


def test_nothing_is_said_of_what_was_not_recorded(tmp_path: Path) -> None:
    for table in (boxes.localization(tmp_path), boxes.objects(tmp_path)):
        assert table.rows[0][0] == "not recorded yet"
        assert len(table.rows[0]) == len(table.columns)


def test_both_can_be_recorded() -> None:
    losses = {run.config().training.loss for run in recorded_runs.RUNS}
    assert {"boxes", "objects"} <= losses
