"""Later networks: only recorded ones, each compared with AlexNet on the same photos, with its cost."""

from __future__ import annotations

import json
from pathlib import Path

from evaluations import record

from tools import recorded_runs
from tools.what_came_after import DATA, NETWORKS, what_came_after

CONFIG = {"data": {"image_size": 32, "input_size": 32}, "schedule": {"epochs": 10}, "training": {"seed": 0}}


def trained(
    results: Path, recipe: str, wrong: range, multiply_adds: float, seconds: float, data: str = DATA[0]
) -> None:
    name = f"{data}-{recipe}"
    folder = record(results, name, {"ten": wrong}, multiply_adds=multiply_adds, device="a GPU")
    (folder / "config.json").write_text(json.dumps({"recipe": recipe, **CONFIG}))
    at = {"step": 1, "epoch": 1}
    lines = ({"event": "train", **at, "error": 0.125}, {"event": "result", **at, "seconds": seconds})
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_networks_are_compared_with_alexnet_with_their_costs(tmp_path: Path) -> None:
    trained(tmp_path, "alexnet-2012", range(300), 500e6, 120.0)
    trained(tmp_path, "vgg-a-batchnorm", range(250), 6e9, 7200.0)
    alexnet, vgg = what_came_after(tmp_path).rows
    assert alexnet[1:] == ["32 pixels", "30.0 (27.2-32.9)", "-", "1", "12.5", "50", "2.0", "a GPU", "10", "0"]
    assert vgg[2].startswith("25.0") and vgg[3].startswith("-5.0 (-6.")
    assert vgg[6:8] == ["600", "120.0"]


def test_a_network_is_compared_with_alexnet_on_photos_of_the_same_size(tmp_path: Path) -> None:
    trained(tmp_path, "alexnet-2012", range(300), 500e6, 120.0)
    trained(tmp_path, "alexnet-2012", range(400), 500e6, 120.0, data=DATA[1])
    trained(tmp_path, "vgg-a-batchnorm", range(350), 6e9, 7200.0, data=DATA[1])
    assert [row[3].partition(" ")[0] for row in what_came_after(tmp_path).rows] == ["-", "-", "-5.0"]


def test_without_recorded_results_the_table_has_a_note(tmp_path: Path) -> None:
    assert what_came_after(tmp_path).rows[0][0] == "not recorded yet"


def test_every_row_can_be_recorded() -> None:
    names = {*recorded_runs.names()}
    for part in NETWORKS.values():
        assert any(f"{data}-{part}" in names for data in DATA)
    for data in DATA:
        assert any(f"{data}-{part}" in names for part in NETWORKS.values())
