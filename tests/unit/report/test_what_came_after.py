"""What came after AlexNet: recorded nets only, each beside AlexNet on the same photos, with its cost."""

from __future__ import annotations

import json
from pathlib import Path

from tools.what_came_after import NETS, ON, what_came_after

IMAGES = 1000
CONFIG = {"data": {"side": 32}, "schedule": {"epochs": 10}, "training": {"seed": 0}}


def evidence(
    results: Path, recipe: str, wrong: range, multiply_adds: float, seconds: float, on: str = ON[0]
) -> None:
    folder = results / f"{on}-{recipe}"
    folder.mkdir()
    entry = {
        "views": "ten",
        "images": IMAGES,
        "top1_error": len(wrong) / IMAGES,
        "top1_interval": [0.1, 0.2],
        "multiply_adds": multiply_adds,
        "device": "a GPU",
    }
    (folder / "evaluation.json").write_text(json.dumps([entry]))
    (folder / "wrong.json").write_text(json.dumps({"ten": list(wrong)}))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    lines = ({"event": "train", "error": 0.125}, {"event": "result", "seconds": seconds})
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_nets_stand_beside_alexnet_with_what_they_cost(tmp_path: Path) -> None:
    evidence(tmp_path, "alexnet-2012", range(300), 500e6, 120.0)
    evidence(tmp_path, "vgg-a-batchnorm", range(250), 6e9, 7200.0)
    alexnet, vgg = what_came_after(tmp_path).rows
    assert alexnet[1:] == ["32 pixels", "30.0 (10.0-20.0)", "-", "12.5", "50", "2.0", "a GPU", "10", "0"]
    assert vgg[2].startswith("25.0") and vgg[3].startswith("-5.0 (-6.")
    assert vgg[5:7] == ["600", "120.0"]


def test_a_net_is_compared_with_the_alexnet_that_saw_photos_as_large(tmp_path: Path) -> None:
    evidence(tmp_path, "alexnet-2012", range(300), 500e6, 120.0)
    evidence(tmp_path, "alexnet-2012", range(400), 500e6, 120.0, on=ON[1])
    evidence(tmp_path, "vgg-a-batchnorm", range(350), 6e9, 7200.0, on=ON[1])
    assert [row[3].partition(" ")[0] for row in what_came_after(tmp_path).rows] == ["-", "-", "-5.0"]


def test_nothing_is_said_of_what_was_not_recorded(tmp_path: Path) -> None:
    assert what_came_after(tmp_path).rows[0][0] == "not recorded yet"


def test_every_row_can_be_recorded() -> None:
    from tools import recorded_runs

    assert {f"{ON[0]}-{recipe}" for recipe in NETS.values()} <= set(recorded_runs.names())
    assert any(name.startswith(ON[1]) for name in recorded_runs.names())
