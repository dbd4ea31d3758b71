"""What each set of views gains and costs: from recorded evaluations only, paired with ten crops."""

from __future__ import annotations

from pathlib import Path

from evaluations import evaluation, write

from tools.views import views_cost


def record_with_costs(results: Path, name: str, wrong: dict[str, range], **costs: float) -> None:
    folder = results / name
    measured = [
        evaluation(
            len(images),
            views,
            scales=(128,),
            device="a processor",
            seconds=2.5,
            multiply_adds=costs[views.partition("@")[0].replace("-", "_")],
        )
        for views, images in wrong.items()
    ]
    write(folder, *measured)
    lists = {views: list(images) for views, images in wrong.items()}
    (folder / "wrong.json").write_text(str(lists).replace("'", '"'))


def test_the_cheapest_comes_first_and_all_are_compared_with_ten_crops(tmp_path: Path) -> None:
    wrong = {"multi-crop": range(190), "ten": range(200), "dense@112,128": range(210), "center": range(220)}
    record_with_costs(tmp_path, "run", wrong, multi_crop=50e6, ten=10e6, dense=4.4e6, center=1e6)
    rows = views_cost(tmp_path).rows
    assert [row[1] for row in rows] == ["center", "dense", "ten", "multi-crop"]
    assert rows[1][:4] == ["[`alexnet-2012`](results/run)", "dense", "128", "21.0 (18.6-23.6)"]
    assert [row[4][:4] for row in rows] == ["-2.0", "-1.0", "-", "+1.0"]
    assert [row[5] for row in rows] == ["1", "4", "10", "50"]
    assert rows[0][6:] == ["2.5", "-", "-", "a processor"]


def test_runs_without_ten_crops_are_not_listed(tmp_path: Path) -> None:
    wrong = {"center": range(9), "dense@72": range(8)}
    record_with_costs(tmp_path, "boxes", wrong, center=1e6, dense=4e6)
    assert views_cost(tmp_path).rows[0][0] == "not recorded yet"


def test_runs_with_the_usual_views_are_not_listed(tmp_path: Path) -> None:
    record_with_costs(tmp_path, "run", {"ten": range(200), "center": range(220)}, ten=10e6, center=1e6)
    assert [row[0] for row in views_cost(tmp_path).rows] == ["not recorded yet"]
