"""`alexnet verify`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import tiny
from edited import edit

from alexnet import json_reader
from alexnet.checksum import Damaged
from alexnet.cli.main import main
from alexnet.data.store import Store
from alexnet.errors import CommandError, NotFound
from alexnet.io import exclusive_lock
from alexnet.runs.checkpoints import NetworkProgress
from alexnet.runs.provenance import unfinished_note
from alexnet.runs.run_dir import EnsembleDir, EnsembleMember, RunDir
from alexnet.training import checkpoint
from alexnet.verification import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return tiny.store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run with two checkpoints whose weights are no model; only the files are of interest."""
    folder = RunDir.create(tmp_path / "runs" / "one", tiny.config())
    for step in (6, 12):
        progress = NetworkProgress(epoch=step // 6, errors={"top1_error": 1 / step}, best_error=1 / step)
        write = lambda path: path.write_bytes(b"weights") and ""  # noqa: E731
        checkpoint.write(folder.checkpoints, step, write, {}, progress, best=True)
    return folder


def test_what_is_whole_is_counted(run: RunDir, made: Store) -> None:
    for path in (run.path, made.path):
        found = verify(path)
        assert found.checked > 5
        assert not found.problems and not found.unchecked and not found.repaired


def test_links_are_moved_and_what_killed_processes_left_is_removed(run: RunDir) -> None:
    (run.checkpoints / "last").unlink()
    (run.checkpoints / "last").symlink_to("step-00000006")
    left = [run.path / ".config.json.999999999.part", run.checkpoints / ".temporary-999999999"]
    left[0].write_bytes(b"half")
    left[1].mkdir()
    found = verify(run.path)
    assert not any(path.exists() for path in left)
    assert (run.checkpoints / "last").readlink() == Path("step-00000012")
    assert len(found.repaired) == 2
    assert not verify(run.path).repaired


def test_a_run_in_use_is_checked_but_not_changed(run: RunDir) -> None:
    left = run.path / ".config.json.999999999.part"
    left.write_bytes(b"half")
    with exclusive_lock(run.path):
        found = verify(run.path)
    assert found.busy and left.exists() and not found.problems


def test_damage_is_named_with_what_repairs_it(run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    weights = run.checkpoints / "step-00000012" / "weights.safetensors"
    weights.write_bytes(b"wrong")
    assert main(["verify", str(run.path), "--json"]) == 3
    output = capsys.readouterr()
    (found,) = json.loads(output.out)
    (problem,) = found["problems"]
    assert problem["file"] == str(weights)
    assert problem["repair"].endswith(f"--run {run.path} --resume continues at step-00000006")
    assert output.err == f"alexnet: {weights} is damaged: the output shows how to repair it\n"


def test_a_missing_log_is_damage_if_a_checkpoint_recorded_its_lines(run: RunDir) -> None:
    assert not run.metrics_file.exists() and not verify(run.path).problems
    write = lambda path: path.write_bytes(b"weights") and ""  # noqa: E731
    checkpoint.write(run.checkpoints, 18, write, {}, NetworkProgress(epoch=3), best=False, log_lines=4)
    (problem,) = verify(run.path).problems
    assert problem.file == str(run.metrics_file)
    assert "is missing: it has 0 of 4 lines" in problem.found and "--resume" in problem.repair
    with pytest.raises(Damaged, match="is missing"):  # by `evaluate`, `predict` and `serve`
        unfinished_note(run)


def test_a_missing_shard_and_a_changed_digit_of_the_header(tmp_path: Path) -> None:
    store = tiny.store(tmp_path)
    (store.path / "val-00000.arrow").unlink()
    (problem,) = verify(store.path).problems
    assert problem.found == "it is missing"
    header = store.path / "header.json"
    header.write_text(header.read_text().replace('"side": 72', '"side": 73'))
    (problem,) = verify(store.path).problems
    assert problem.file == str(header) and "differ" in problem.found


def test_files_of_earlier_versions_are_listed_as_not_checked(run: RunDir) -> None:
    edit(run.config_file, lambda values: None)
    found = verify(run.path)
    assert found.unchecked == [str(run.config_file)] and not found.problems


def test_a_byte_order_mark_changes_nothing(run: RunDir, tmp_path: Path) -> None:
    store = tiny.store(tmp_path / "photos-and-store")
    whole = verify(store.path).checked, verify(run.path).checked
    for file in (store.path / "header.json", run.checkpoints / "step-00000006" / "meta.json"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    found = verify(store.path), verify(run.path)
    assert [each.problems for each in found] == [[], []]
    assert tuple(each.checked for each in found) == whole


def test_what_is_no_regular_file_or_too_large_is_not_read(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(run.path / "notes.json")
    (run.path / "long.json").write_text(f'"{"x" * 5000}"')
    monkeypatch.setattr(json_reader, "MAX_BYTES", 5000)
    found = {Path(each.file).name: each.found for each in verify(run.path).problems}
    assert "not a regular file" in found["notes.json"]
    assert "5,002 bytes, more than 5,000" in found["long.json"]


def test_the_folder_of_an_ensemble_is_searched(run: RunDir) -> None:
    ensemble = EnsembleDir(run.path.parent)
    ensemble.write("two", [EnsembleMember(name="one", pretraining=False)])
    alone, together = verify(run.path), verify(ensemble.path)
    assert together.checked == alone.checked + 1
    ensemble.members_file.write_text("{}x")
    run.config_file.unlink()
    assert [each.file for each in verify(ensemble.path).problems] == [
        str(run.config_file),
        str(ensemble.members_file),
    ]


def test_something_else_is_a_wrong_command(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no .*typo: type the path of a store"):
        verify(tmp_path / "typo")
    with pytest.raises(CommandError, match="not a store, run or exported file"):
        verify(tmp_path)
