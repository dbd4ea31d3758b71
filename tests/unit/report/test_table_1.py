"""The paper's table 1 beside recorded results on the same photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.report.test_table_2 import evidence

from tools.table_1 import ROWS, table_1


@pytest.fixture
def results(tmp_path: Path) -> Path:
    evidence(tmp_path, "imagenette-alexnet-2012", {"center": range(220), "ten": range(200)}, [0])
    evidence(tmp_path, "imagenette-lenet-5", {"center": range(100, 600)}, [0])
    evidence(tmp_path, "tiny-imagenet-20-classes-sift-fv", {"center": range(430)}, [0])
    evidence(tmp_path, "imagenette-side-128-sparse-coding", {"center": range(250)}, [0])
    config = {"data": {"side": 128, "crop": 112}}
    (tmp_path / "imagenette-alexnet-2012" / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_published_errors_stand_beside_ours(results: Path) -> None:
    rows = {row[0]: row for row in table_1(results).rows}
    assert [*rows] == [*ROWS]
    assert rows["sparse coding"][1:3] == ["47.1", "28.2"]
    assert rows["SIFT + Fisher vectors"][1:3] == ["45.7", "25.7"]
    assert rows["AlexNet"][1:3] == ["37.5", "17.0"]
    assert rows["LeNet-5"][1:3] == ["-", "-"]


def test_alexnet_has_ten_crops_and_differences_are_of_the_same_photos(results: Path) -> None:
    rows = {row[0]: row for row in table_1(results).rows}
    assert rows["AlexNet"][3:] == ["20.0 (10.0-20.0)", "-", "112 of 128", "-", "-", "-", "-", "0"]
    assert rows["LeNet-5"][3].startswith("50.0") and rows["LeNet-5"][4].startswith("+30.0 (+2")
    assert rows["SIFT + Fisher vectors"][3:] == [*["-"] * 5, "43.0 (10.0-20.0)", "-", "-"]
    assert rows["sparse coding"][3:] == [*["-"] * 3, "25.0 (10.0-20.0)", *["-"] * 4]


def test_every_row_can_be_recorded(results: Path) -> None:
    from alexnet import recipes
    from tools import recorded_runs

    recorded = set(recorded_runs.names())
    for recipe in set(ROWS.values()) & set(recipes.names()):
        assert f"imagenette-{recipe}" in recorded
        assert {f"tiny-imagenet-{classes}-classes-{recipe}" for classes in (10, 20, 30)} <= recorded
    assert {f"imagenette-side-128-{recipe}" for recipe in ("sift-fv", "sparse-coding")} <= recorded
