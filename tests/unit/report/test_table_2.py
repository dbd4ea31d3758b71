"""The paper's table 2 beside recorded results: counts come from the evidence, not from anywhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.table_2 import CALLED, ROWS, table_2, views_gain

IMAGES = 1000


def evidence(results: Path, name: str, wrong: dict[str, range], seeds: list[int]) -> None:
    folder = results / name
    folder.mkdir(parents=True)
    entries = [
        {
            "views": views,
            "images": IMAGES,
            "per_class": 10 * [{}],
            "top1_error": len(images) / IMAGES,
            "top1_interval": [0.1, 0.2],
            "top5_error": 0.01,
            "runs": [{"seed": seed} for seed in seeds],
        }
        for views, images in wrong.items()
    ]
    (folder / "evaluation.json").write_text(json.dumps(entries))
    (folder / "wrong.json").write_text(json.dumps({views: list(images) for views, images in wrong.items()}))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    evidence(tmp_path, ROWS["AlexNet"], {"center": range(220), "ten": range(200)}, [0])
    evidence(tmp_path, ROWS["5 AlexNets"], {"center": range(190), "ten": range(170)}, [0, 1, 2, 3, 4])
    return tmp_path


def test_published_errors_stand_beside_ours(results: Path) -> None:
    rows = {row[0]: row for row in table_2(results).rows}
    assert [*rows] == [*CALLED.values()] == ["1 CNN", "5 CNNs", "1 CNN*", "7 CNNs*"]
    assert rows["1 CNN"][1:4] == ["40.7", "18.2", "-"]
    assert rows["5 CNNs"][1:4] == ["38.1", "16.4", "16.4"]
    assert rows["1 CNN*"][1:4] == ["39.0", "16.6", "-"]
    assert rows["7 CNNs*"][1:4] == ["36.7", "15.4", "15.3"]
    assert rows["1 CNN"][4:8] == ["22.0 (10.0-20.0)", "20.0 (10.0-20.0)", "1.0", "-"]
    assert rows["5 CNNs"][7].startswith("+3.0 (+1.")
    assert rows["5 CNNs"][8] == "0, 1, 2, 3, 4"
    assert rows["7 CNNs*"][4:] == ["-"] * 5


def test_ten_crops_are_paired_with_the_center(results: Path) -> None:
    rows = views_gain(results).rows
    assert [row[0] for row in rows] == ["1 CNN", "5 CNNs"]
    assert all(row[1].startswith("+2.0 (+1.") for row in rows)
