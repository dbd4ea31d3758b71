"""MATLAB files, which are read in a process of their own."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from alexnet.data.sources.matlab import read_vectors
from alexnet.errors import DataError


def matlab(**variables: object) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=True)
    return file.getvalue()


def test_vectors_become_lists_of_plain_values() -> None:
    names = np.array(["rose", "l\u00edly"], dtype=object)
    data = matlab(labels=np.array([[77.0, 3.5]]), names=names, one=7, matrix=np.ones((2, 2)))
    assert read_vectors(data, "lists.mat") == {"labels": [77, 3.5], "names": ["rose", "l\u00edly"]}
    assert read_vectors(matlab(one=7), "lists.mat") == {}


@pytest.mark.parametrize("data", [b"", b"MATLAB 5.0 MAT-file", matlab(labels=np.arange(9))[:-9]])
def test_what_is_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match=r"lists\.mat is not a complete MATLAB file \("):
        read_vectors(data, "lists.mat")


def test_the_newest_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(DataError, match=r"MATLAB 7\.3, which is not read: save it with -v7"):
        read_vectors(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(64), "lists.mat")


def test_a_crash_of_the_reader_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crashing))
    with pytest.raises(DataError, match=r"lists\.mat is not a complete MATLAB file \(its reader crashed\)"):
        read_vectors(matlab(labels=np.arange(9)), "lists.mat")
