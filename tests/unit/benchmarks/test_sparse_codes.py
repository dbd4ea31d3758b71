"""The benchmark of sparse codes compares codes of equal quality."""

from __future__ import annotations

import pytest
import torch

from benchmarks import sparse_codes


def test_codes_reconstruct_as_well_as_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ATOMS": 40, "SIZE": 16, "DESCRIPTORS": 40, "OF_THEIRS": 20}.items():
        monkeypatch.setattr(sparse_codes, name, value)
    photos = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    rows = {row.name: row for row in sparse_codes.measure(photos)}
    assert rows["coding by l1, 40 atoms"].peer == "scikit-learn, lasso_cd"
    assert rows["coding by l1, 40 atoms: error"].ratio == pytest.approx(1, abs=0.01)
