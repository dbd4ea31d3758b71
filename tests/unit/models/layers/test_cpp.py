"""Compiling on first use: cached, shared between processes, and never fatal."""

from __future__ import annotations

import ctypes
import logging
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from alexnet.cache import cache_folder
from alexnet.models.layers import cpp
from alexnet.models.layers.local_response_norm import LocalResponseNorm


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """An empty cache folder, and nothing remembered before or after."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    cpp.library.cache_clear()
    yield
    cpp.library.cache_clear()


def fake_compiler(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "g++").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "g++").chmod(0o755)


def test_compiles_once_into_the_users_cache(monkeypatch, tmp_path):
    assert isinstance(cpp.library("fused_block"), ctypes.CDLL)
    kept = list((tmp_path / "cache" / "alexnet").iterdir())
    assert [path.suffix for path in kept] == [".so"]
    cpp.library.cache_clear()
    monkeypatch.setattr(cpp, "_compile", lambda *anything: pytest.fail("compiled again"))
    assert cpp.library("fused_block") is not None


def test_another_compiler_gets_a_library_of_its_own(monkeypatch, tmp_path):
    first = cpp._built(Path(cpp.__file__).with_name("fused_block.cpp"))
    real = shutil.which("g++")
    fake_compiler(tmp_path / "bin", f'case "$1" in --version) echo other;; *) exec {real} "$@";; esac')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    assert cpp._built(Path(cpp.__file__).with_name("fused_block.cpp")) != first


def test_shares_torchs_openmp_threads():
    # In a process of its own: scikit-learn, which other tests load, brings one too.
    code = (
        "from alexnet.models.layers import cpp; cpp.library('fused_block'); "
        "import torch; torch.ones(10).sum();"
        "print(open('/proc/self/maps').read())"
    )
    mapped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "fused_block" in mapped
    assert len(set(re.findall(r"\S*libgomp\S*", mapped))) <= 1


def test_without_a_compiler_torch_computes_and_one_warning_is_logged(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    maps = torch.randn(2, 8, 3, 3) * 50
    with caplog.at_level(logging.WARNING):
        results = [LocalResponseNorm()(maps) for _ in range(3)]
    torch.testing.assert_close(results[-1], torch.nn.LocalResponseNorm(5, k=2.0)(maps))
    assert [record.message for record in caplog.records] == [
        "fused_block runs in plain torch, several times slower: no C++ compiler (g++ or clang++) on the PATH"
    ]


def test_a_failing_compiler_is_no_error_and_leaves_no_files(monkeypatch, tmp_path, caplog):
    fake_compiler(
        tmp_path / "bin", 'case "$1" in --version) echo fake;; *) echo "out of order" >&2; exit 1;; esac'
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert cpp.library("fused_block") is None
    assert "out of order" in caplog.text
    assert list((tmp_path / "cache" / "alexnet").iterdir()) == []


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """A user's cache that cannot be written, and an empty temporary folder, which is returned."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_without_a_writable_home_the_cache_is_temporary(monkeypatch, no_home):
    assert cpp.library("fused_block") is not None
    (folder,) = no_home.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.suffix for path in folder.iterdir()] == [".so"]
    cpp.library.cache_clear()
    monkeypatch.setattr(cpp, "_compile", lambda *anything: pytest.fail("compiled again"))
    assert cpp.library("fused_block") is not None


def test_without_a_home_the_cache_is_temporary(monkeypatch, no_home):
    def unknown():
        raise RuntimeError("could not determine home directory")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", unknown)
    assert cache_folder().parent == no_home


def test_no_library_is_loaded_from_a_folder_that_others_can_write(no_home, caplog):
    folder = cache_folder()
    folder.chmod(0o777)
    assert cpp.library("fused_block") is None
    assert "may have files of other users" in caplog.text
    assert not list(folder.iterdir())


def test_no_writable_folder_at_all_is_no_error(monkeypatch, no_home, caplog):
    monkeypatch.setattr(tempfile, "tempdir", str(no_home.parent / "file"))
    assert cpp.library("fused_block") is None
    assert len(caplog.records) == 1


def test_the_compiler_is_that_of_cxx_with_its_options(monkeypatch, tmp_path):
    fake_compiler(tmp_path / "bin", f'echo "$1" >> {tmp_path}/first; shift; exec g++ "$@"')
    monkeypatch.setenv("CXX", f"'{tmp_path / 'bin' / 'g++'}' --mine")
    assert cpp.library("fused_block") is not None
    assert set((tmp_path / "first").read_text().split()) == {"--mine"}


def test_a_missing_cxx_is_named(monkeypatch, caplog):
    monkeypatch.setenv("CXX", "absent-compiler")
    assert cpp.library("fused_block") is None
    assert "no C++ compiler (CXX=absent-compiler) on the PATH" in caplog.text


def test_a_compiler_without_openmp_makes_a_library_of_one_thread(monkeypatch, tmp_path, caplog):
    refuse = 'case "$*" in *-fopenmp*|*libgomp*) echo "no OpenMP" >&2; exit 1;; esac'
    fake_compiler(tmp_path / "bin", f'{refuse}\nexec /usr/bin/env g++ "$@"')
    monkeypatch.setenv("CXX", str(tmp_path / "bin" / "g++"))
    maps = torch.randn(2, 8, 3, 3) * 50
    torch.testing.assert_close(LocalResponseNorm()(maps), torch.nn.LocalResponseNorm(5, k=2.0)(maps))
    assert "fused_block uses one thread" in caplog.text
    assert cpp.library("fused_block") is not None


@pytest.mark.skipif(shutil.which("clang++") is None, reason="needs clang++")
def test_clang_compiles_the_same_function(monkeypatch):
    monkeypatch.setenv("CXX", "clang++")
    maps = torch.randn(2, 8, 3, 3) * 50
    assert cpp.library("fused_block") is not None
    torch.testing.assert_close(LocalResponseNorm()(maps), torch.nn.LocalResponseNorm(5, k=2.0)(maps))


def test_the_source_compiles_without_a_warning(tmp_path):
    source = Path(cpp.__file__).with_name("fused_block.cpp")
    command = ("g++", "-std=c++17", "-fopenmp", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", source)
    subprocess.run(command, check=True)
