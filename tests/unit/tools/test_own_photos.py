"""Tables and figure of `fit` on public photo sets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from alexnet.io import write_json
from alexnet.runs.results import wilson_interval
from benchmarks import candidates, label_errors, own_photos
from tools.own_photos import by_photos, picture, rivals, training, wrong_labels


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two seeds of two methods and of two candidates, with few photos and with all."""
    methods = [
        own_photos.Row("waste", per_class, seed, method, 60, 100, 3, errors + seed, 1.0, 2.0)
        for per_class in (0, 20)
        for seed in range(2)
        for method, errors in (("fit", 20), ("hog", 30 - per_class), ("tutorial-net", 40 - 2 * seed))
    ]
    found = [
        candidates.Row("waste", per_class, seed, name, 3, 60, 100, errors + seed, 1.0, 5, 0.1, 1.0)
        for per_class in (0, 5)
        for seed in range(2)
        for name, errors in (("linear", 20), ("small", 30 - 4 * per_class))
    ]
    folder = tmp_path / "own-photos"
    folder.mkdir()
    write_json(folder / own_photos.RESULTS, [asdict(row) for row in methods])
    write_json(folder / candidates.RESULTS, [asdict(row) for row in found])
    return tmp_path


def test_the_lowest_mean_over_seeds_is_bold(results: Path) -> None:
    few, whole = (dict(zip(rivals(results).columns, row, strict=True)) for row in rivals(results).rows)
    assert (few["of each class"], few["seeds"], whole["of each class"]) == ("20", "0, 1", "all")
    low, high = wilson_interval(41, 200)
    of_fit = f"({100 * low:.1f}-{100 * high:.1f})"
    assert few["`alexnet fit`"] == f"20.5 {of_fit}" and whole["`alexnet fit`"] == f"**20.5** {of_fit}"
    assert few["HOG + logistic regression"].startswith("**10.5** (")
    assert few["`alexnet-modern` alone"] == "-"


def test_a_gain_is_the_mean_of_differences_of_the_same_seed(results: Path) -> None:
    assert rivals(results).rows[0][-1] == "19.0 (18.0 to 20.0)"  # 40 - 20 and 39 - 21
    file = results / "own-photos" / own_photos.RESULTS
    write_json(file, [asdict(row) for row in own_photos.read(file.parent) if row.method != "fit"])
    assert rivals(results).rows[0][-1] == "-"


def test_a_mean_over_fewer_seeds_is_never_bold(results: Path) -> None:
    file = results / "own-photos" / candidates.RESULTS
    one = candidates.Row("waste", 5, 0, "linear-large", 3, 60, 100, 1, 1.0, 5, 0.1, 1.0)
    write_json(file, [*(asdict(row) for row in candidates.read(file.parent)), asdict(one)])
    cells = dict(zip(by_photos(results).columns, by_photos(results).rows[0], strict=True))
    assert (cells["linear-large"], cells["small"]) == ("1.0", "**10.5** (10.0 to 11.0)")


def test_how_far_candidates_were_trained(results: Path) -> None:
    table = training(results)
    assert table.columns[2:] == ("linear", "small")
    assert tuple(table.rows[0]) == ("waste", "5", "5; 10.0", "5; 10.0")
    assert tuple(training(Path("absent")).rows[0]) == ("not recorded yet", "-")


def test_candidates_are_compared_by_photos(results: Path) -> None:
    few, whole = by_photos(results).rows
    cells = dict(zip(by_photos(results).columns, few, strict=True))
    assert (cells["of each class"], cells["small"]) == ("5", "**10.5** (10.0 to 11.0)")
    assert cells["linear"] == "20.5 (20.0 to 21.0)" and cells["sift-fv"] == "-"
    assert whole[4] == "**20.5** (20.0 to 21.0)"


def test_the_picture_has_a_panel_for_each_set(results: Path) -> None:
    figure, alt_text = picture(results)
    (panel,) = figure.axes
    linear = panel.get_lines()[0]
    assert linear.get_xdata().tolist() == [5, 20]
    assert linear.get_ydata().tolist() == pytest.approx([0.205, 0.205])
    assert "waste, small: 5: 10.5 %, 20: 30.5 %." in alt_text


def test_without_results_nothing_is_claimed(tmp_path: Path) -> None:
    for table in (rivals(tmp_path), by_photos(tmp_path)):
        assert [row[0] for row in table.rows] == ["not recorded yet"]
    assert "not recorded yet" in picture(tmp_path)[1]


def test_wrong_labels_that_are_found_are_counted_over_seeds(tmp_path: Path) -> None:
    rows = [
        label_errors.Row("waste", seed, model, 100, 10, found + seed, 4 * found, found)
        for seed in range(2)
        for model, found in (("linear", 2), ("sift-fv", 5))
    ]
    (tmp_path / "own-photos").mkdir()
    write_json(tmp_path / "own-photos" / label_errors.RESULTS, [asdict(row) for row in rows])
    linear, fisher = wrong_labels(tmp_path).rows
    assert tuple(linear[3:]) == ("0, 1", "`linear`", "25.0 (20.0 to 30.0)", "8", "25.0", "20.0")
    assert tuple(fisher[4:]) == ("`sift-fv`", "55.0 (50.0 to 60.0)", "20", "25.0", "50.0")
    assert wrong_labels(Path("absent")).rows[0][0] == "not recorded yet"
