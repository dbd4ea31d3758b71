"""Three networks in numbers, and AlexNet's error by images and by classes, from recorded files only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluations import record

from alexnet import recipes
from alexnet.models.summary import summarize
from tools import why_so_long
from tools.why_so_long import NETS

OURS = dict(zip(("lenet-1989", "lenet-5", "alexnet-2012"), NETS, strict=True))


@pytest.mark.parametrize("recipe", OURS)
def test_all_counts_equal_those_of_our_models(recipe: str) -> None:
    ours, net = summarize(recipes.get(recipe)), OURS[recipe]
    assert (ours.parameters, ours.connections) == (net.parameters, net.connections)
    assert ours.activations == net.units


def test_training_is_counted_in_operations() -> None:
    first, fifth, last = (net.training_operations for net in NETS)
    assert first == 6 * 64_660 * 7_291 * 23
    assert fifth == 6 * 340_908 * 60_000 * 20
    assert 4.9e17 < last < 5.1e17
    assert [net.data_bytes for net in NETS] == [7_291 * 256, 60_000 * 784, 1_281_167 * 196_608]


def test_the_table_has_the_growth_factors(tmp_path: Path) -> None:
    rows = {row[0]: row for row in why_so_long.nets(tmp_path).rows}
    assert rows["parameters"] == ["parameters", "9,760", "60,000", "60,965,224", "6,246"]
    assert rows["training images"][1:4] == ["7,291", "60,000", "1,281,167"]


def test_machines_take_the_time_that_their_rates_give(tmp_path: Path) -> None:
    rows = {row[0]: row for row in why_so_long.machines(tmp_path).rows}
    assert [*rows] == ["1989", "1998", "2012", "2024"]
    assert rows["1989"][3] == "43 minutes"  # 6.5e10 operations at 2.5e7 a second
    assert rows["2012"][5] == "1.8 days"  # the paper says five to six


def test_rows_that_were_not_run_are_absent(tmp_path: Path) -> None:
    assert why_so_long.by_images(tmp_path).rows == [("not recorded yet",)]
    for images in (9_469, 1_184):
        name = f"imagenette-{images}-images-alexnet-2012"
        record(tmp_path, name, {"center": range(500), "ten": range(450)})
        at = {"step": 1, "epoch": 1}
        lines = [{"event": "train", **at, "error": error} for error in (0.5, 0.125)]
        lines.append({"event": "result", **at})
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    record(tmp_path, "tiny-imagenet-20-classes-alexnet-2012", {"center": range(9), "ten": range(8)})
    first, second = why_so_long.by_images(tmp_path).rows
    assert first == ["1,184", "50.0 (46.9-53.1)", "45.0 (41.9-48.1)", "1", "12.5", "0"]
    assert second[0] == "9,469"
    ((classes, *_),) = why_so_long.by_classes(tmp_path).rows
    assert classes == "20"


def test_the_picture_and_its_description_have_the_same_numbers(tmp_path: Path) -> None:
    for images in (9_469, 1_184):
        name = f"imagenette-{images}-images-alexnet-2012"
        record(tmp_path, name, {"center": range(500), "ten": range(450)})
    figure, seen = why_so_long.picture(tmp_path)
    assert "parameters 9.8k, 60k, 61M; multiply-adds for one image 65k, 340k, 730M" in seen
    assert seen.endswith(
        "images of ten classes: 1,184: 50.0%, 9,469: 50.0%. By classes of 500 photos: not recorded yet."
    )
    grown, by_images, by_classes = figure.axes
    marks = {tuple(line.get_xdata()) for line in grown.get_lines()}
    assert {(net.training_operations,) for net in NETS} <= marks
    assert [label.get_text() for label in by_images.get_xticklabels()] == ["1,184", "9,469"]
    assert by_images.get_lines()[0].get_ydata().tolist() == [0.5, 0.5]
    assert [text.get_text() for text in by_classes.texts] == ["not recorded yet"]
