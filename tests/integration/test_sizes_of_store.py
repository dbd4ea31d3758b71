"""Image sizes that are not typed follow from the store, and stay in the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

import alexnet
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.errors import CommandError
from alexnet.runs.run_dir import RunDir

OWN = [each for each in tiny.SETTINGS if not each.startswith(("data.image_size", "data.input_size"))]
TAKEN = "data.image_size=72 data.input_size=64, since the store's images have 72 pixels"


def sizes(run: Path) -> tuple[int, int]:
    data = RunDir(run).config().data
    return data.image_size, data.input_size


def test_a_run_records_the_sizes_that_it_took_and_resumes_with_them(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["train", tiny.RECIPE, "--store", str(tiny_store.path), "--run", str(run), *OWN, "epochs=1"]
    assert main([*words, "--minutes", "0"]) == 75
    assert capsys.readouterr().out.splitlines()[0] == f"{TAKEN} ({tiny.RECIPE}: 224 of 256)"
    assert sizes(run) == (72, 64)
    assert main([*words, "--resume"]) == 0
    assert TAKEN not in capsys.readouterr().out
    assert sizes(run) == (72, 64)
    assert main([*words, "--resume", "input_size=56"]) == 2
    assert "--resume cannot change data.input_size: 64 -> 56" in capsys.readouterr().err


def test_what_is_typed_counts_and_what_contradicts_the_store_is_refused(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", tiny.RECIPE, "--store", str(tiny_store.path), "--minutes", "0", *OWN]
    assert main([*words, "--run", str(tmp_path / "own"), "input_size=68"]) == 75
    assert sizes(tmp_path / "own") == (72, 68)
    assert capsys.readouterr().out.startswith("data.image_size=72, since")
    for wrong in (["image_size=256"], ["image_size=100", "input_size=96"]):
        assert main([*words, "--run", str(tmp_path / "wrong"), *wrong]) == 2
        assert "the store holds images of side 72" in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()


def test_an_ensemble_has_the_sizes_of_its_store(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["ensemble", tiny.RECIPE, "--nets", "2", "--store", str(tiny_store.path), "--out", str(tmp_path)]
    assert main([*words, *OWN, "epochs=1", "--only", "seed-1"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith(TAKEN)
    assert sizes(tmp_path / "seed-1") == (72, 64)
    assert main([*words, *OWN, "epochs=1", "--print-commands"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(TAKEN)
    assert "--only seed-0" in printed.out and printed.out.count("\n") == 1


def test_a_file_of_settings_trains_runs_and_ensembles(
    tiny_store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, store = tmp_path / "mine.yaml", str(tiny_store.path)
    assert main(["config", tiny.RECIPE, *OWN, "epochs=1"]) == 0
    file.write_text(capsys.readouterr().out)
    words = ["train", "--config", str(file), "--store", store, "--minutes", "0"]
    assert main([*words, "--run", str(tmp_path / "run"), "lr=0.002"]) == 75
    found = RunDir(tmp_path / "run").config()
    assert found == tiny.config("epochs=1", "lr=0.002")
    assert main(["train", "epochs=2", *words[1:], "--run", str(tmp_path / "other")]) == 75
    assert RunDir(tmp_path / "other").config().schedule.epochs == 2
    assert main(["train", "vgg-a", *words[1:], "--run", str(tmp_path / "wrong")]) == 2
    assert f"mine.yaml:3: this configuration is for {tiny.RECIPE}, not for vgg-a" in capsys.readouterr().err
    ensemble = ["ensemble", "--config", str(file), "--nets", "2", "--store", store, "--out", str(tmp_path)]
    assert main([ensemble[0], "lr=0.003", *ensemble[1:], "--print-commands"]) == 0
    (first, second) = capsys.readouterr().out.splitlines()
    assert f"--config {file}" in first and "lr=0.003" in first and second.endswith("--only seed-1")
    assert main([*ensemble, "--print-commands", "seed=3"]) == 2
    assert "the members differ in training.seed" in capsys.readouterr().err


def test_a_configuration_from_python_stays_as_it_is(tiny_store: Store, tmp_path: Path) -> None:
    config = tiny.config("data.image_size=100", "data.input_size=96")
    with pytest.raises(CommandError, match="side 72, the run needs 100"):
        alexnet.train(config, tiny_store, tmp_path / "run")
