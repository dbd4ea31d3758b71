"""The commands that a report says make a run again."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.data.synthetic import synthesize
from alexnet.report import run_details


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--val-fraction", "0.25"],
        ["--classes", "2"],
        ["--val-fraction", "0.5", "--classes", "3", "--channels", "1", "--encoding", "raw"],
    ],
)
def test_the_store_is_made_again_by_what_the_report_says(tmp_path: Path, words: list[str]) -> None:
    synthesize(tmp_path / "made-up", classes=4, train_per_class=4, val_per_class=1, layout="folder")
    photos = tmp_path / "made-up" / "train"
    assert (
        main(["prepare", str(photos), str(tmp_path / "store"), "--side", "64", "--workers", "1", *words]) == 0
    )
    header = Store.open(tmp_path / "store").header
    train = ["alexnet", "train", tiny.RECIPE, "--store", str(tmp_path / "again"), "--run", "run"]
    prepare, *_ = run_details.commands(train, "run", str(tmp_path / "again"), [], header, header.side)
    assert (
        main([word.replace("SOURCE", str(photos)) for word in prepare.split()[1:]] + ["--workers", "1"]) == 0
    )
    assert Store.open(tmp_path / "again").header.digest() == header.digest()
