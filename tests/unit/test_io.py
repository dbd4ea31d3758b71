"""Atomic files and directories, and locks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from alexnet.io import (
    CannotWrite,
    atomic_dir,
    atomic_write,
    exclusive_lock,
    is_left_over,
    is_running,
    unfinished_path,
    write_json,
)


def test_a_failed_write_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    write_json(path, {"a": 1})
    before = path.read_bytes()
    told = pytest.raises(CannotWrite, match=r"cannot write .*table.json \(full up\): free some space")
    with told, atomic_write(path) as unfinished:
        unfinished.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "full up")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_another_error_passes_through(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "table.json") as unfinished:
        unfinished.write_bytes(b"half")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_only_the_hidden_unfinished_file_is_left_over(tmp_path: Path) -> None:
    assert is_left_over(unfinished_path(tmp_path / "table.json"))
    assert not is_left_over(tmp_path / "table.json")
    assert not is_left_over(tmp_path / "photos.part")


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    words = (
        "import pathlib, sys, alexnet.io; alexnet.io.exclusive_lock(pathlib.Path(sys.argv[1])).__enter__()"
    )

    def attempt() -> subprocess.CompletedProcess[str]:
        return subprocess.run((sys.executable, "-c", words, str(tmp_path)), capture_output=True, text=True)

    with exclusive_lock(tmp_path):
        assert f"Busy: another process is using {tmp_path}" in attempt().stderr
    assert attempt().returncode == 0


def test_leftovers_of_killed_processes_are_removed_but_not_of_running_ones(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".run.999999999.part", tmp_path / f".run.{os.getppid()}.part"
    for folder in (dead, alive):
        folder.mkdir()
    with atomic_dir(tmp_path / "run") as unfinished:
        unfinished.mkdir()
    assert not dead.exists()
    assert alive.exists()


def test_a_folder_is_created_atomically(tmp_path: Path) -> None:
    with atomic_dir(tmp_path / "new" / "run") as unfinished:
        unfinished.mkdir()
        (unfinished / "file").write_text("whole")
        assert not (tmp_path / "new" / "run").exists()
    assert (tmp_path / "new" / "run" / "file").read_text() == "whole"
    with pytest.raises(KeyError), atomic_dir(tmp_path / "new" / "other") as unfinished:
        unfinished.mkdir()
        (unfinished / "file").write_text("half")
        raise KeyError
    with pytest.raises(CannotWrite, match="run"), atomic_dir(tmp_path / "new" / "run") as unfinished:
        unfinished.mkdir()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["run"]
    assert (tmp_path / "new" / "run" / "file").read_text() == "whole"


def test_the_next_writer_removes_what_killed_ones_left_of_the_same_file(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".table.json.999999999.part", tmp_path / f".table.json.{os.getppid()}.part"
    own = unfinished_path(tmp_path / "table.json").name
    of_this_machine = tmp_path / own.replace(f"-{os.getpid()}.", "-999999999.")
    names = (".other.json.999999999.part", ".table.json.backup.part", ".table.json.other-node-999999999.part")
    others = [tmp_path / name for name in names]
    for left in (dead, alive, of_this_machine, *others):
        left.write_bytes(b"half")
    write_json(tmp_path / "table.json", {"a": 1})
    assert {path.name for path in tmp_path.iterdir()} == {
        "table.json",
        *(path.name for path in (alive, *others)),
    }


def test_processes_are_running_until_they_end() -> None:
    assert is_running(os.getpid())
    child = subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE)
    assert is_running(child.pid)
    child.communicate()
    assert not is_running(child.pid)
    assert not is_running(10**30)


def test_no_process_gets_a_signal_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "kill", lambda *anything: pytest.fail("this would end the process"))
    assert is_running(999999999)
