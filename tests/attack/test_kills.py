"""A kill at each moment while a checkpoint or a file is written: what is there afterwards is right."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from attack.kills import count, killed_at

from alexnet.io import atomic_write, write_json
from alexnet.runs.checkpoints import NetworkProgress, find_checkpoint
from alexnet.training import checkpoint

ERRORS = {6: 0.3, 12: 0.2, 18: 0.1, 24: 0.4}


def save(folder: Path, step: int, best: bool = True, contents: str = "") -> None:
    progress = NetworkProgress(
        epoch=step // 6,
        validated_step=step,
        errors={"top1_error": ERRORS[step]},
        best_error=min(error for each, error in ERRORS.items() if each <= step),
    )
    text = f"weights of {step}{contents}"
    write = lambda path: path.write_text(text) and text  # noqa: E731
    checkpoint.write(folder, step, write, {"at": step}, progress, best=best)


def step_of(folder: Path, name: Any) -> int | None:
    found = find_checkpoint(folder, name)
    if found is None:
        return None
    assert not found.damaged_files()
    assert found.weights.read_text().startswith(f"weights of {found.step}")
    return found.step


def refuse_news(line: str) -> None:
    raise AssertionError(line)


def test_a_kill_at_each_moment_of_a_save_leaves_a_last_and_a_best(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    save(begun, 6)
    save(begun, 12)
    moments = count(lambda: save(shutil.copytree(begun, tmp_path / "counted", symlinks=True), 18))
    assert moments > 20
    seen: set[int | None] = set()
    for moment in range(moments):
        folder = shutil.copytree(begun, tmp_path / str(moment), symlinks=True)
        with killed_at(moment):
            save(folder, 18)
        last = step_of(folder, "last")
        assert (last, step_of(folder, "best")) == (last, last)
        assert last == (18 if (folder / "step-00000018").exists() else 12)
        seen.add(last)
        found = checkpoint.newest(folder, refuse_news)
        assert found is not None
        assert found.step == last
        checkpoint.tidy(folder)
        assert {name: (folder / name).resolve().name for name in ("last", "best")} == dict.fromkeys(
            ("last", "best"), f"step-{last:08}"
        )
        assert not list(folder.rglob(".*"))
        save(folder, 24, best=False)
        assert (step_of(folder, "last"), step_of(folder, "best")) == (24, last)
    assert seen == {12, 18}


def test_a_kill_while_the_only_checkpoint_is_saved_again_keeps_one_of_the_two(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    save(begun, 6, contents=", first")
    moments = count(
        lambda: save(shutil.copytree(begun, tmp_path / "counted", symlinks=True), 6, contents=", second")
    )
    for moment in range(moments):
        folder = shutil.copytree(begun, tmp_path / str(moment), symlinks=True)
        with killed_at(moment):
            save(folder, 6, contents=", second")
        assert (step_of(folder, "last"), step_of(folder, "best")) == (6, 6)
        checkpoint.tidy(folder)
        assert sorted(path.name for path in folder.iterdir()) == ["best", "last", "step-00000006"]
        assert (step_of(folder, "last"), step_of(folder, "best")) == (6, 6)


@pytest.mark.parametrize("keep_state", [True, False])
def test_a_kill_at_each_moment_of_the_end_keeps_last_and_best(tmp_path: Path, keep_state: bool) -> None:
    begun = tmp_path / "begun"
    for step in (6, 12, 18, 24):
        save(begun, step, best=step != 24)
    end = lambda folder: checkpoint.finish(folder, 7, keep_state)  # noqa: E731
    moments = count(lambda: end(shutil.copytree(begun, tmp_path / "counted", symlinks=True)))
    for moment in range(moments + 1):
        folder = shutil.copytree(begun, tmp_path / str(moment), symlinks=True)
        with killed_at(moment):
            end(folder)
        assert (step_of(folder, "last"), step_of(folder, "best")) == (24, 18)
        checkpoint.tidy(folder)
        end(folder)
        assert (step_of(folder, "last"), step_of(folder, "best")) == (24, 18)
        states = [path.parent.name for path in folder.glob("step-*/state.pt")]
        assert states == (["step-00000024"] if keep_state else [])


def test_what_an_earlier_version_left_with_links_behind_is_found(tmp_path: Path) -> None:
    save(tmp_path, 6)
    save(tmp_path, 12)
    for name in ("last", "best"):
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("step-00000006")
    for path in tmp_path.glob("step-*"):
        meta = checkpoint.read_checkpoint(path).meta.to_dict()
        write_json(path / "meta.json", {key: value for key, value in meta.items() if key != "best"})
    assert (step_of(tmp_path, "last"), step_of(tmp_path, "best")) == (12, 12)


def test_a_killed_writer_leaves_the_old_file_and_the_next_one_removes_what_it_left(
    tmp_path: Path,
) -> None:
    path = tmp_path / "table.json"
    write_json(path, {"a": 1})
    before = path.read_bytes()
    moments = count(lambda: write_json(path, {"a": 2}))
    for moment in range(moments):
        path.write_bytes(before)
        with killed_at(moment):
            write_json(path, {"a": 3})
        assert path.read_bytes() in (before, before.replace(b"1", b"3"))
        with atomic_write(path) as unfinished:
            unfinished.write_bytes(before)
        assert list(tmp_path.iterdir()) == [path]
