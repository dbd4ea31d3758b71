"""The course of recorded runs: numbers come from their logs, epoch by epoch."""

from __future__ import annotations

import json
from pathlib import Path

from tools.star_course import MODELS, star_course


def log(results: Path, name: str, epochs: int) -> None:
    lines = [
        line
        for epoch in range(1, epochs + 1)
        for line in (
            {"event": "train", "step": epoch, "epoch": epoch - 1, "error": 1 / epoch - 0.01},
            {"event": "train", "step": epoch, "epoch": epoch - 1, "error": 1 / epoch + 0.01},
            {"event": "validation", "step": epoch, "epoch": epoch, "top1_error": 2 / epoch},
        )
    ]
    (results / name).mkdir()
    (results / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_errors_are_those_of_their_epoch_and_absent_after_a_runs_end(tmp_path: Path) -> None:
    for name in MODELS["1 CNN"]:
        log(tmp_path, name, 40)
    log(tmp_path, MODELS["1 CNN*"][0], 34)
    rows = {row[0]: row[1:] for row in star_course(tmp_path).rows}
    assert rows["5"] == ["5", "40.0 / 40.0", "40.0", "20.0 / 20.0", "20.0"]
    assert rows["40"] == ["40", "5.0 / 5.0", "-", "2.5 / 2.5", "-"]
    assert [*rows] == ["5", "10", "15", "20", "25", "30", "35", "40"]
