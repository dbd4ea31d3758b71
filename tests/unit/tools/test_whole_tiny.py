"""The table and the figure of the whole of Tiny ImageNet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluations import record

from alexnet.published import tiny_imagenet
from tools.recorded_runs import RUNS
from tools.whole_tiny import SYSTEMS, picture, whole_tiny


def trained(results: Path, name: str, errors: int, views: str = "ten") -> None:
    folder = record(results, name, {"center": range(500), views: range(errors)})
    at = {"step": 31_000, "epoch": 1}
    lines = ({"event": "train", **at, "error": 0.125}, {"event": "result", **at, "seconds": 1.0})
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_errors_are_means_over_seeds(tmp_path: Path) -> None:
    trained(tmp_path, "tiny-imagenet-500-a-class-alexnet-2012", 400)
    trained(tmp_path, "tiny-imagenet-500-a-class-alexnet-2012-seed-1", 420)
    trained(tmp_path, "tiny-imagenet-25-a-class-sift-fv", 300, views="center")
    found = {tuple(row[:2]): row for row in whole_tiny(tmp_path).rows}
    row = found["AlexNet, 2012", "500"]
    assert list(row[2:]) == ["41.0", "40.0, 42.0", "1.2", "31,000", "12.5", "ours"]
    assert found["SIFT + Fisher vectors", "25"][2] == "30.0"
    assert ("AlexNet, 2012", "25") not in found
    _, text = picture(tmp_path)
    assert "SIFT + Fisher vectors: 25: 30.0 %." in text and "AlexNet, 2012: 500: 41.0 %." in text


def test_published_errors_are_the_last_rows(tmp_path: Path) -> None:
    """Accuracies of 31.75 and 36.68 %, and an error of 58.2 %."""
    rows = whole_tiny(tmp_path).rows[-len(tiny_imagenet.ROWS) :]
    assert [float(row[2]) for row in rows] == pytest.approx([68.2, 63.3, 58.2], abs=0.06)
    assert [row[-1] for row in rows] == [row.source for row in tiny_imagenet.ROWS]


def test_every_row_can_be_recorded() -> None:
    names = {run.name for run in RUNS}
    assert all(f"tiny-imagenet-25-a-class-{recipe}" in names for recipe in SYSTEMS.values())
