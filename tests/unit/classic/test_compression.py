"""Product quantization against scikit-learn, and the file of feature vectors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.cluster import KMeans

from alexnet.classic.compression import FeatureFile, Float16Codec, PqCodec, ProductQuantizer


def test_quantized_as_k_means_of_each_group() -> None:
    """Sanchez and Perronnin 2011: a byte for 8 numbers. From the same centers, scikit-learn's result."""
    rows = torch.randn(400, 20, generator=torch.Generator().manual_seed(0))
    found = clone(ProductQuantizer(8, bits=3, max_iter=5)).fit(rows)
    codes = found.transform(rows)
    assert codes.dtype == torch.uint8
    assert codes.shape == (400, 3)
    drawn = torch.randperm(400, generator=torch.Generator().manual_seed(0))[:8]
    for group in range(2):
        part = rows[:, 8 * group : 8 * group + 8].double().numpy()
        theirs = KMeans(8, init=part[drawn], n_init=1, max_iter=5, tol=0, algorithm="lloyd").fit(part)
        assert np.allclose(found.centers_[group], theirs.cluster_centers_, atol=1e-5)
    distances = torch.cdist(rows[:, :8], found.centers_[0])
    assert torch.equal(distances.argmin(1), codes[:, 0].long())


def test_with_as_many_centers_as_rows_nothing_is_lost() -> None:
    rows = torch.randn(50, 21, generator=torch.Generator().manual_seed(0))
    found = ProductQuantizer().fit(rows)
    assert torch.allclose(found.inverse_transform(found.transform(rows)), rows)


@pytest.mark.parametrize("quantized", [False, True])
def test_vectors_go_to_the_file_and_back(tmp_path: Path, quantized: bool) -> None:
    rows = torch.randn(50, 24, generator=torch.Generator().manual_seed(0))
    codec = PqCodec(ProductQuantizer().fit(rows)) if quantized else Float16Codec()
    file = FeatureFile(tmp_path / "rows.npy", 50, 24, codec)
    file.create()
    for start in (0, 32):
        file.write(start, rows[start : start + 32])
    order = torch.tensor([40, 3, 3, 0])
    assert torch.allclose(file.read(order), rows[order], atol=2e-3)
    assert np.load(tmp_path / "rows.npy").shape == (50, 3 if quantized else 24)


def test_what_was_written_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, synced = FeatureFile(tmp_path / "rows.npy", 4, 8, Float16Codec()), list[int]()
    file.create()
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(os.fstat(opened).st_ino))
    file.write(0, torch.ones(2, 8))
    assert synced == [(tmp_path / "rows.npy").stat().st_ino]
