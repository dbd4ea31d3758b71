from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet import config
from alexnet.errors import CommandError, DataError, WorkError
from alexnet.runs.checkpoints import NetworkProgress
from alexnet.runs.environment import Environment
from alexnet.runs.run_dir import RunDir, find_weights
from alexnet.training import checkpoint

CONFIG = config.override(config.RunConfig(recipe="alexnet-2012"), ["training.seed=7", "data.input_size=64"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_comes_back_as_it_was_made(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "runs" / "one", CONFIG)
    assert RunDir.open(tmp_path / "runs" / "one").config() == CONFIG


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    assert RunDir.create(tmp_path, CONFIG).config() == CONFIG


def test_an_existing_run_is_unchanged_and_the_message_has_what_to_type(tmp_path: Path) -> None:
    RunDir.create(tmp_path, CONFIG)
    (tmp_path / "weights").write_text("precious")
    with pytest.raises(CommandError, match="--resume"):
        RunDir.create(tmp_path, CONFIG)
    assert names(tmp_path) == ["config.json", "weights"]


def test_another_folder_is_unchanged_and_the_message_does_not_suggest_to_resume(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CommandError, match="no run that could be continued: choose another"):
        RunDir.create(tmp_path, CONFIG)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(CommandError, match="is a file"):
        RunDir.create(tmp_path / "run", CONFIG)
    with pytest.raises(WorkError, match="another directory with --run"):
        RunDir.create(tmp_path / "run" / "deeper", CONFIG)


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no run at"):
        RunDir.open(tmp_path)
    with pytest.raises(CommandError, match=r"there is no run at .*nowhere"):
        RunDir.open(tmp_path / "nowhere")


def test_a_folder_of_runs_names_them(tmp_path: Path) -> None:
    for name in ("b", "a", "deeper/c", "d"):
        RunDir.create(tmp_path / name, CONFIG)
    named = " ".join(str(tmp_path / name) for name in ("a", "b", "d"))
    for refused in (lambda: RunDir.open(tmp_path), lambda: find_weights(tmp_path)):
        with pytest.raises(CommandError, match="is a folder of runs") as caught:
            refused()
        assert str(caught.value).endswith(f"type their paths, {named} ...")


@pytest.mark.parametrize("name", ["last", "best"])
def test_weights_are_in_the_folder_of_their_checkpoint_not_behind_a_link(tmp_path: Path, name: str) -> None:
    """A run in training moves the link, perhaps between the reading of weights and of their digest."""
    run = RunDir.create(tmp_path, CONFIG)
    write = lambda path: path.write_bytes(b"weights") and ""  # noqa: E731
    progress = NetworkProgress(errors={"top1_error": 0.5}, best_error=0.5)
    checkpoint.write(run.checkpoints, 6, write, {}, progress, best=True)
    link, wanted = run.checkpoints / name, run.checkpoints / "step-00000006" / "weights.safetensors"
    assert link.is_symlink()
    for path in (tmp_path, link / "weights.safetensors"):
        assert find_weights(path, name) == wanted
    checkpoint.write(run.checkpoints, 12, write, {}, progress, best=True)
    assert link.resolve().name == "step-00000012" and wanted.is_file()


@pytest.mark.parametrize("text", ["{", '{"data": {}}'])
def test_a_broken_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match="is not a configuration"):
        RunDir.open(tmp_path).config()


def test_no_temporary_file_remains(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path, CONFIG)
    run.write_environment(Environment(device="cpu"))
    assert names(tmp_path) == ["config.json", "environment.json"]
    assert json.loads(run.environment_file.read_text())["device"] == "cpu"
