from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from edited import edit

from alexnet.checksum import Damaged, write_json_with_checksum
from alexnet.errors import DataError, WorkError
from alexnet.runs.checkpoints import NetworkProgress, check_weights, find_checkpoint, recorded_tensors
from alexnet.training import checkpoint

STATE = {"velocity": torch.arange(4.0), "schedule": {"best": None, "waited": 2}}


def write(folder: Path, step: int, best: bool = False, state: dict[str, Any] = STATE) -> None:
    progress = NetworkProgress(epoch=step // 10)
    checkpoint.write(folder, step, lambda path: _write_bytes(path, step), state, progress, best=best)


def _write_bytes(path: Path, step: int) -> str:
    path.write_bytes(f"weights of {step}".encode())
    return f"digest of {step}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def no_news(line: str) -> None:
    raise AssertionError(line)


def test_written_values_are_read_back(tmp_path: Path) -> None:
    write(tmp_path, 12)
    found = checkpoint.newest(tmp_path, no_news)
    assert found is not None
    assert found.step == 12
    assert found.meta.training == NetworkProgress(epoch=1)
    assert found.weights.read_bytes() == b"weights of 12"
    state = checkpoint.load_state(found)
    assert torch.equal(state["velocity"], STATE["velocity"])
    assert state["schedule"] == STATE["schedule"]


def test_keeps_the_last_the_one_before_and_the_best(tmp_path: Path) -> None:
    for step in range(1, 7):
        write(tmp_path, step, best=step in (1, 3))
    assert names(tmp_path) == ["best", "last", "step-00000003", "step-00000005", "step-00000006"]
    assert (tmp_path / "last").readlink() == Path("step-00000006")
    assert (tmp_path / "best").readlink() == Path("step-00000003")


def test_only_checkpoints_to_resume_from_have_a_state(tmp_path: Path) -> None:
    for step in range(1, 6):
        write(tmp_path, step, best=step == 2)
    assert [path.parent.name for path in sorted(tmp_path.glob("step-*/state.pt"))] == [
        "step-00000004",
        "step-00000005",
    ]
    assert (tmp_path / "best" / "weights.safetensors").read_bytes() == b"weights of 2"
    checkpoint.finish(tmp_path, log_lines=7)
    assert names(tmp_path) == ["best", "last", "step-00000002", "step-00000005"]
    assert [path.parent.name for path in tmp_path.glob("step-*/state.pt")] == ["step-00000005"]


def test_a_finished_run_may_keep_its_weights_alone(tmp_path: Path) -> None:
    write(tmp_path, 1, best=True)
    write(tmp_path, 2)
    checkpoint.finish(tmp_path, log_lines=7, keep_state=False)
    assert not list(tmp_path.glob("step-*/state.pt"))
    found = checkpoint.newest(tmp_path, no_news)
    assert found is not None
    assert (found.step, found.has_state) == (2, False)


def test_weights_of_the_best_are_not_resumed_from(tmp_path: Path) -> None:
    for step in range(1, 4):
        write(tmp_path, step, best=step == 1)
    for step in (2, 3):
        (tmp_path / f"step-0000000{step}" / "state.pt").write_bytes(b"damaged")
    with pytest.raises(DataError, match="all checkpoints"):
        checkpoint.newest(tmp_path, lambda line: None)


def test_a_run_folder_can_be_moved(tmp_path: Path) -> None:
    write(tmp_path / "a", 1)
    (tmp_path / "a").rename(tmp_path / "b")
    assert (tmp_path / "b" / "last" / "weights.safetensors").is_file()


def test_nothing_yet(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "checkpoints", no_news) is None


@pytest.mark.parametrize("file", ["weights.safetensors", "state.pt", "meta.json"])
def test_a_damaged_checkpoint_is_logged_and_the_one_before_is_used(tmp_path: Path, file: str) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2)
    damaged = tmp_path / "step-00000002" / file
    damaged.write_bytes(damaged.read_bytes()[:-3])
    messages: list[str] = []
    found = checkpoint.newest(tmp_path, messages.append)
    assert found is not None
    assert found.step == 1
    assert len(messages) == 1
    assert "step-00000002 is damaged" in messages[0]


def test_all_damaged(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "step-00000001" / "state.pt").unlink()
    with pytest.raises(DataError, match="all checkpoints"):
        checkpoint.newest(tmp_path, lambda line: None)


def test_going_on_from_an_older_one_gives_up_the_later(tmp_path: Path) -> None:
    for step in (10, 20, 30):
        write(tmp_path, step)
    write(tmp_path, 25)
    assert names(tmp_path) == ["last", "step-00000020", "step-00000025"]


def test_a_step_is_written_again(tmp_path: Path) -> None:
    write(tmp_path, 10)
    write(tmp_path, 10, state={"again": True})
    found = checkpoint.newest(tmp_path, no_news)
    assert found is not None
    assert checkpoint.load_state(found) == {"again": True}


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch pwned",))


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, 1)
    folder = tmp_path / "step-00000001"
    torch.save({"optimizer": Evil()}, folder / "state.pt")
    meta = json.loads((folder / "meta.json").read_text())
    meta["sha256"]["state.pt"] = hashlib.sha256((folder / "state.pt").read_bytes()).hexdigest()
    write_json_with_checksum(folder / "meta.json", meta)
    found = checkpoint.newest(tmp_path, no_news)
    assert found is not None
    with pytest.raises(DataError, match="refused"):
        checkpoint.load_state(found)
    assert not (tmp_path / "pwned").exists()


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path, 1, best=True)
    before = names(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(WorkError, match="cannot write a checkpoint"):
            write(tmp_path, 2, state={"large": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == before
    found = checkpoint.newest(tmp_path, no_news)
    assert found is not None
    assert found.step == 1


def test_what_a_killed_writer_left_is_ignored_and_swept(tmp_path: Path) -> None:
    write(tmp_path, 1)
    half = tmp_path / ".temporary-4711"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")
    found = checkpoint.newest(tmp_path, no_news)
    assert found is not None
    assert found.step == 1
    write(tmp_path, 2)
    assert not half.exists()


def test_meta_of_another_step_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 1)
    write(tmp_path, 2)
    edit(tmp_path / "step-00000002" / "meta.json", lambda meta: meta.update(step=3))
    with pytest.raises(Damaged, match=r"step-00000002/meta\.json is damaged: it is of step 3"):
        find_checkpoint(tmp_path)
    messages: list[str] = []
    found = checkpoint.newest(tmp_path, messages.append)
    assert found is not None
    assert (found.step, len(messages)) == (1, 1)


def test_folders_in_place_of_links_become_links_again(tmp_path: Path) -> None:
    write(tmp_path / "run", 1, best=True)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")
    assert not (tmp_path / "copy" / "last").is_symlink()
    write(tmp_path / "copy", 2)
    assert (tmp_path / "copy" / "last").readlink() == Path("step-00000002")
    assert (tmp_path / "copy" / "best").readlink() == Path("step-00000001")


def test_weights_are_compared_with_the_meta_beside_them(tmp_path: Path) -> None:
    write(tmp_path, 1)
    weights = tmp_path / "last" / "weights.safetensors"
    assert check_weights(weights)
    weights.write_bytes(weights.read_bytes().replace(b"1", b"2"))
    with pytest.raises(Damaged, match=r"weights\.safetensors is damaged: .*: remove .*step-00000001 and"):
        check_weights(weights)
    assert not check_weights(tmp_path / "exported.safetensors")
    assert recorded_tensors(weights) == "digest of 1"
    assert recorded_tensors(tmp_path / "exported.safetensors") is None


@pytest.mark.parametrize(
    "change",
    [{"step": "many"}, {"sha256": []}, {"errors": {"top1_error": "low"}}, {"phase": None}, {"pace": {}}],
)
def test_values_of_a_wrong_type_are_damage(tmp_path: Path, change: dict[str, Any]) -> None:
    """Also those without a checksum, which earlier versions wrote."""
    write(tmp_path, 1)
    edit(tmp_path / "step-00000001" / "meta.json", lambda meta: meta.update(change))
    with pytest.raises(Damaged, match=r"meta\.json is damaged"):
        find_checkpoint(tmp_path)


def test_values_of_a_later_version_are_ignored(tmp_path: Path) -> None:
    write(tmp_path, 1)
    edit(tmp_path / "step-00000001" / "meta.json", lambda meta: meta.update(new=1))
    found = find_checkpoint(tmp_path)
    assert found is not None and found.meta.training == NetworkProgress(epoch=0)
