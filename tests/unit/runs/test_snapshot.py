"""Snapshots of a run during training."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from alexnet import recipes
from alexnet.errors import WorkError
from alexnet.runs.provenance import training_progress
from alexnet.runs.run_dir import RunDir
from alexnet.runs.snapshot import snapshot


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Not finished; its last checkpoint is that of update 7."""
    made = RunDir.create(tmp_path / "runs" / "young", recipes.get("alexnet-2012"))
    step = made.checkpoints / "step-00000007"
    step.mkdir(parents=True)
    (step / "weights.safetensors").write_text("seven")
    (step / "state.pt").write_text("only training needs it")
    (step / "meta.json").write_text(
        json.dumps({"step": 7, "epoch": 1, "sha256": {"weights.safetensors": ""}})
    )
    (made.checkpoints / "last").symlink_to(step.name)
    made.metrics_file.write_text('{"event": "train", "step": 9, "epoch": 1}\n')
    return made.path


def test_a_copy_does_not_change_and_its_caches_remain_in_the_run(run: Path, tmp_path: Path) -> None:
    copy = snapshot(run, tmp_path / "copies")
    assert copy != run and copy.name == "young" and copy.parent.name == "runs"
    shutil.rmtree(run / "checkpoints")
    assert (copy / "checkpoints" / "last" / "weights.safetensors").read_text() == "seven"
    assert not list(copy.rglob("state.pt"))
    assert training_progress(RunDir(copy)).endswith("update 7")
    (copy / "features" / "train.npy").touch()
    assert (run / "features" / "train.npy").is_file()


def test_a_finished_run_and_one_without_a_checkpoint_are_themselves(run: Path, tmp_path: Path) -> None:
    (run / "metrics.jsonl").write_text('{"event": "result", "step": 9, "epoch": 1}\n')
    assert snapshot(run, tmp_path / "copies") == run
    shutil.rmtree(run / "checkpoints")
    (run / "metrics.jsonl").unlink()
    assert snapshot(run, tmp_path / "copies") == run


def test_a_checkpoint_that_goes_while_it_is_copied_is_not_the_end(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, left = shutil.copytree, 2

    def goes(*arguments, **options):
        nonlocal left
        left -= 1
        if left >= 0:
            raise shutil.Error("weights.safetensors is gone") if left else FileNotFoundError
        return original(*arguments, **options)

    monkeypatch.setattr(shutil, "copytree", goes)
    copy = snapshot(run, tmp_path / "copies")
    assert (copy / "checkpoints" / "last" / "weights.safetensors").read_text() == "seven"
    left = 100
    with pytest.raises(WorkError, match="faster than"):
        snapshot(run, tmp_path / "others")
