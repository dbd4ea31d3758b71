"""The tables of docs/classic.md follow from the recipes and from what is recorded."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from evaluations import evaluation, write

from alexnet import recipes
from alexnet.io import write_json
from benchmarks import caltech
from tools import classic

HEADER = "benchmark,name,value,unit,peer,ratio,target\n"


def test_channels_are_the_recipes() -> None:
    default, *rows = classic.channels(Path()).rows
    assert default[:3] == ["default", "-", "root-sift"]
    wanted = [recipes.get(name).classic for name in classic.RECIPES]
    assert len(rows) == sum(len(each.channels) for each in wanted if each)
    assert rows[0] == ["sift-fv", "1", "root-sift", "16, 24, 32, 40", "6", "64", "fisher", "256", "1x1 + 3x1"]
    assert [row[5] for row in rows if row[2] == "lbp"] == ["-"], "patterns are not reduced"


def test_stages_are_the_logs(tmp_path: Path) -> None:
    folder = tmp_path / "imagenette-sift-fv"
    folder.mkdir()
    lines = [
        {"event": "stage", "step": 0, "epoch": 0, "channel": f"channel{number}", "name": name, **more}
        for number in (1, 2)
        for name, more in (
            ("learn", {"stage_seconds": 60 * number}),
            ("encode", {"stage_seconds": 600}),
            ("classify", {"stage_seconds": 90, "passes": 7 * number, "error": 0.25}),
        )
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write(folder, evaluation(125, "center"))
    first, second, both, other = classic.stages(tmp_path).rows
    assert first == ["sift-fv", "1: root-sift, fisher", "1.0", "10.0", "1.5", "7", "25.0"]
    assert second[2:] == ["2.0", "10.0", "1.5", "14", "25.0"]
    assert both == ["sift-fv", "all", "3.0", "20.0", "3.0", "-", "12.5"]
    assert other[:2] == ["sparse-coding", "not recorded yet"]


def test_needs_are_the_benchmarks(tmp_path: Path) -> None:
    assert classic.needs(tmp_path).rows == []
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "classic.csv").write_text(
        f'{HEADER}classic,"sift-fv, codes, one core",12.38,images/s,,,\n'
        'classic,"sparse-coding, codes, one core",4.9,images/s,,,\n'
        'classic,"dense SIFT, one core",3e5,descriptors/s,OpenCV,5.4,>= 2\n'
        'classic,"sift-fv, disk",338.5,GB,,,\n'
    )
    assert classic.needs(tmp_path).rows == [
        ["codes, one core, images/s", "12.4", "4.9"],
        ["disk, GB", "338", "-"],
    ]


def test_caltech_101_beside_the_published(tmp_path: Path) -> None:
    assert [row[3] for row in classic.caltech_101(tmp_path).rows][2:] == ["not recorded yet"] * 3
    rows = [caltech.Row("fisher", number, 102, 3060, 4000, 0.25 + number / 100, 1.0) for number in (0, 1, 2)]
    (tmp_path / "caltech-101").mkdir()
    write_json(tmp_path / "caltech-101" / caltech.RESULTS, [asdict(row) for row in rows])
    shown = [tuple(row) for row in classic.caltech_101(tmp_path).rows]
    assert shown[0][2:] == ("-", "77.8")
    assert shown[2] == ("SIFT + Fisher vectors", "this project", "3", "74.0 (73.0 to 75.0)")
