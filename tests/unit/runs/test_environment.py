from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from alexnet.runs import provenance


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def test_says_what_a_reader_of_results_asks() -> None:
    found = provenance.describe("cpu (2 threads)", "abc", ["alexnet", "train", "a b"])
    assert json.loads(json.dumps(found)) == found
    assert found["device"] == "cpu (2 threads)"
    assert found["store_digest"] == "abc"
    assert found["command"] == "alexnet train 'a b'"
    assert found["packages"]["torch"]
    assert found["cores"] >= 1


def test_commit_and_uncommitted_changes(tmp_path: Path) -> None:
    code = tmp_path / "alexnet" / "runs" / "code.py"
    code.parent.mkdir(parents=True)
    code.write_text("one\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    commit, changes = provenance._checkout(code.parent)
    assert len(commit) == 40
    assert changes == ""
    code.write_text("two\n")
    assert "+two" in provenance._checkout(code.parent)[1]


def test_an_installed_program_has_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "installed").mkdir()
    assert provenance._checkout(tmp_path / "installed") == ("", "")


def test_no_git_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance._checkout(tmp_path) == ("", "")
