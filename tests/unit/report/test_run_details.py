"""Commands that reproduce a run, and the changes of the program that made it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from evaluations import evaluation

from alexnet import old_names
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.data.synthetic import synthesize
from alexnet.report import run_details
from alexnet.runs.environment import Environment


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--val-fraction", "0.25"],
        ["--classes", "2"],
        ["--group-by", r"0000(\d)\.", "--val-fraction", "0.3"],
        ["--drop-duplicates", "--no-exif"],
        ["--encoding", "raw", "--no-exif"],
        ["--class-level", "1", "--splits", "train=."],
        ["--val-fraction", "0.5", "--classes", "3", "--channels", "1", "--encoding", "raw"],
    ],
)
def test_the_reports_commands_make_the_store_again(tmp_path: Path, words: list[str]) -> None:
    synthesize(tmp_path / "made-up", classes=4, train_per_class=4, val_per_class=1, layout="folder")
    photos = tmp_path / "made-up" / "train"
    assert (
        main(["prepare", str(photos), str(tmp_path / "store"), "--side", "64", "--workers", "1", *words]) == 0
    )
    manifest = Store.open(tmp_path / "store").manifest
    train = ["alexnet", "train", tiny.RECIPE, "--store", str(tmp_path / "again"), "--run", "run"]
    prepare, *_ = run_details.commands(train, "run", str(tmp_path / "again"), "", [], manifest, manifest.side)
    assert (
        main([word.replace("SOURCE", str(photos)) for word in shlex.split(prepare)[1:]] + ["--workers", "1"])
        == 0
    )
    assert Store.open(tmp_path / "again").manifest.digest() == manifest.digest()


def test_the_class_filter_of_a_store_of_version_0_1_is_found() -> None:
    for kept in ("n01440764,goldfish", "3"):
        assert old_names.new_source({"classes": f"{kept} of 10"})["class_filter"] == kept
        assert old_names.new_source({"class_filter": kept})["class_filter"] == kept
    assert "class_filter" not in old_names.new_source({})


@pytest.mark.parametrize(("command", "lines"), [(["alexnet", "quickstart"], 1), ([], 2)])
def test_a_command_that_did_everything_is_the_only_one(command: list[str], lines: int) -> None:
    found = run_details.commands(command, "runs/one", "", "", [evaluation(views="dense@72,96")], None, 72)
    assert len(found) == lines
    if not command:
        assert found == [
            "alexnet prepare SOURCE STORE --side 72",
            "alexnet evaluate runs/one --store STORE --views dense --scales 72,96",
        ]


def test_an_evaluation_on_another_store_is_not_that_of_this_one() -> None:
    tested = [replace(evaluation(), store_digest=digest) for digest in ("this", "other")]
    found = run_details.commands([], "runs/one", "stores/mine", "this", tested, None, 72)
    assert [line.split()[4] for line in found[1:]] == ["stores/mine", "OTHER-STORE"]


def test_a_long_diff_is_cut_and_keeps_its_lines() -> None:
    lines = run_details.uncommitted_changes(Environment(uncommitted_changes="+ a line\n" * 1000))
    assert lines[:2] == ["+ a line"] * 2 and lines[-1].endswith("...") and len(lines) < 1000
    assert run_details.uncommitted_changes(Environment()) == []
