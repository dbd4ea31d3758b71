from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.errors import DataError
from alexnet.runs.environment import Environment, Imported, checkout


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def test_a_new_environment_has_what_a_reader_of_results_needs(tmp_path: Path) -> None:
    store = tmp_path / "stores" / "nette"
    found = Environment.of_this_process("cpu (2 threads)", ["alexnet", "train", "a b"], store, "abc")
    assert found.device == "cpu (2 threads)"
    assert (found.store, found.store_path, found.store_digest) == ("nette", str(store), "abc")
    assert found.command == "alexnet train 'a b'"
    assert found.packages["torch"]
    assert found.cores is not None and found.cores >= 1


@pytest.mark.parametrize("imported", [None, Imported("net.pth", "ab12", "torchvision")])
def test_an_environment_comes_back_as_it_was_written(tmp_path: Path, imported: Imported | None) -> None:
    written = replace(Environment.of_this_process("cpu", ["alexnet"]), imported=imported)
    written.write(tmp_path / "environment.json")
    assert Environment.read(tmp_path / "environment.json") == written
    assert ("imported" in json.loads((tmp_path / "environment.json").read_text())) == (imported is not None)


@pytest.mark.parametrize("typed", ["--store stores/nette", "--store=stores/nette"])
def test_files_of_version_0_1_and_of_later_ones_are_read(tmp_path: Path, typed: str) -> None:
    values = {"command": f"alexnet train alexnet-2012 {typed} --run one", "weights_sha256": "1", "new": [2]}
    (tmp_path / "environment.json").write_text(json.dumps(values))
    found = Environment.read(tmp_path / "environment.json")
    assert found == Environment(command=values["command"], store_path="stores/nette")
    assert Environment.read(tmp_path / "none.json") == Environment()


@pytest.mark.parametrize("text", ["{", "[]", '{"packages": 3}', '{"imported": "net.pth"}'])
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "environment.json").write_text(text)
    with pytest.raises(DataError, match=r"environment\.json .*: restore it"):
        Environment.read(tmp_path / "environment.json")


def test_commit_and_uncommitted_changes(tmp_path: Path) -> None:
    code = tmp_path / "alexnet" / "runs" / "code.py"
    code.parent.mkdir(parents=True)
    code.write_text("one\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    commit, changes = checkout(code.parent)
    assert len(commit) == 40
    assert changes == ""
    code.write_text("two\n")
    assert "+two" in checkout(code.parent)[1]


def test_an_installed_program_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "installed").mkdir()
    assert checkout(tmp_path / "installed") == ("", "")


def test_no_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert checkout(tmp_path) == ("", "")
