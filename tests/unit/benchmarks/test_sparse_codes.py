"""The benchmark of codes compares like with like."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny

from alexnet.benchmarks import sparse_codes
from alexnet.data.sources import open_source


def test_codes_reconstruct_as_scikit_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PHOTOS": 6,
        "SIDE": 64,
        "ATOMS": 40,
        "SIZE": 16,
        "DESCRIPTORS": 40,
        "OF_THEIRS": 20,
    }.items():
        monkeypatch.setattr(sparse_codes, name, value)
    rows = {row.name: row for row in sparse_codes.measure(open_source(tiny.photos(tmp_path)))}
    assert rows["coding, l1"].peer == "sparse_encode (lasso_cd)"
    assert rows["coding, omp"].peer == "sparse_encode (omp)"
    for name in ("l1", "omp"):
        assert rows[f"coding, {name}: error"].ratio == pytest.approx(1, abs=0.01)
