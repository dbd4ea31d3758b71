"""The paper's tables 1 and 2 with recorded results: numbers only come from recorded files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluations import record

from alexnet import recipes
from tools import recorded_runs
from tools.paper_tables import MODELS, SINGLE, SYSTEMS, table_1, table_2
from tools.views import views_gain


@pytest.fixture
def systems(tmp_path: Path) -> Path:
    alexnet = record(tmp_path, "imagenette-alexnet-2012", {"center": range(220), "ten": range(200)})
    record(tmp_path, "imagenette-lenet-5", {"center": range(100, 600)})
    record(tmp_path, "tiny-imagenet-20-classes-sift-fv", {"center": range(430)})
    record(tmp_path, "imagenette-side-128-sparse-coding", {"center": range(250)})
    config = {"recipe": "alexnet-2012", "data": {"image_size": 128, "input_size": 112}}
    (alexnet / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_published_errors_of_systems_are_listed_with_ours(systems: Path) -> None:
    rows = {row[0]: row for row in table_1(systems).rows}
    assert [*rows] == [*SYSTEMS]
    assert rows["sparse coding"][1:3] == ["47.1", "28.2"]
    assert rows["SIFT + Fisher vectors"][1:3] == ["45.7", "25.7"]
    assert rows["AlexNet"][1:3] == ["37.5", "17.0"]
    assert rows["LeNet-5"][1:3] == ["-", "-"]


def test_alexnet_has_ten_crops_and_differences_are_of_the_same_photos(systems: Path) -> None:
    rows = {row[0]: row for row in table_1(systems).rows}
    assert rows["AlexNet"][3:] == ["20.0 (17.6-22.6)", "-", "112 of 128", *["-"] * 8, "0"]
    assert rows["LeNet-5"][3].startswith("50.0") and rows["LeNet-5"][4].startswith("+30.0 (+2")
    assert rows["SIFT + Fisher vectors"][3:] == [*["-"] * 5, "43.0 (40.0-46.1)", *["-"] * 6]
    assert rows["sparse coding"][3:] == [*["-"] * 3, "25.0 (22.4-27.8)", *["-"] * 8]


def test_every_system_can_be_recorded() -> None:
    recorded = set(recorded_runs.names())
    for recipe in set(SYSTEMS.values()) & set(recipes.names()):
        assert f"imagenette-{recipe}" in recorded
        assert {f"tiny-imagenet-{classes}-classes-{recipe}" for classes in (10, 20, 30)} <= recorded
    assert {f"imagenette-side-128-{recipe}" for recipe in ("sift-fv", "sparse-coding")} <= recorded


@pytest.fixture
def models(tmp_path: Path) -> Path:
    five = MODELS["5 AlexNets"][1]
    record(tmp_path, SINGLE, {"center": range(220), "ten": range(200)}, top5_errors=10)
    record(tmp_path, five, {"center": range(190), "ten": range(170)}, seeds=range(5), mean="probabilities")
    return tmp_path


def test_published_errors_of_models_are_listed_with_ours(models: Path) -> None:
    rows = {row[0]: row for row in table_2(models).rows}
    assert [*rows] == ["1 CNN", "5 CNNs", "1 CNN*", "7 CNNs*"]
    assert rows["1 CNN"][1:4] == ["40.7", "18.2", "-"]
    assert rows["5 CNNs"][1:4] == ["38.1", "16.4", "16.4"]
    assert rows["1 CNN*"][1:4] == ["39.0", "16.6", "-"]
    assert rows["7 CNNs*"][1:4] == ["36.7", "15.4", "15.3"]
    assert rows["1 CNN"][4:8] == ["22.0 (19.5-24.7)", "20.0 (17.6-22.6)", "1.0", "-"]
    assert rows["5 CNNs"][7].startswith("+3.0 (+1.")
    assert rows["5 CNNs"][8:] == ["-", "-", "0, 1, 2, 3, 4"]
    assert rows["7 CNNs*"][4:] == ["-"] * 7


def test_an_ensemble_shows_how_far_its_members_were_trained(models: Path) -> None:
    for seed, (updates, error) in enumerate([(40, 0.1), (50, 0.2), (50, 0.3), (50, 0.4), (50, 0.5)]):
        (models / f"r{seed}").mkdir()
        line = {"event": "train", "step": updates, "epoch": 1, "error": error}
        (models / f"r{seed}" / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    rows = {row[0]: row for row in table_2(models).rows}
    assert rows["5 CNNs"][8:10] == ["40-50", "30.0"]


def test_ten_crops_are_paired_with_the_center(models: Path) -> None:
    rows = views_gain(models).rows
    assert [row[0] for row in rows] == ["1 CNN", "5 CNNs"]
    assert all(row[1].startswith("+2.0 (+1.") for row in rows)
