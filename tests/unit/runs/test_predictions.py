from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import DataError, WorkError
from alexnet.runs import predictions
from alexnet.runs.predictions import Predictions
from alexnet.runs.results import ViewSet


def made() -> Predictions:
    rows = np.random.default_rng(0).dirichlet(np.ones(3), size=4).astype(np.float32)
    keys = np.array(["a.jpg", "häuser/b.jpg", "c", "d"])
    classes = np.array(["n01", "n02", "n03"])
    names = np.array(["tench", "crane (n02)", "crane (n03)"])
    return Predictions(
        split="val",
        views=ViewSet("dense", (64, 72)),
        probabilities=rows,
        labels=np.array([0, 2, 1, 1]),
        keys=keys,
        classes=classes,
        names=names,
        weights_digest="weights",
        store_digest="store",
    )


def test_saved_values_are_loaded(tmp_path: Path) -> None:
    path = predictions.path_of(tmp_path, "val", ViewSet("ten"))
    assert path == tmp_path / "predictions" / "val-ten.npz"
    predictions.save(made(), path)
    found = predictions.load(path)
    for name, value in vars(made()).items():
        np.testing.assert_array_equal(getattr(found, name), value)
        assert type(getattr(found, name)) is type(value)
    assert [file.name for file in path.parent.iterdir()] == ["val-ten.npz"]


def test_other_programs_read_the_documented_arrays_without_pickle(tmp_path: Path) -> None:
    predictions.save(made(), tmp_path / "p.npz")
    with np.load(tmp_path / "p.npz", allow_pickle=False) as arrays:
        assert arrays["probabilities"].shape == (4, 3)
        assert arrays["probabilities"].dtype == np.float32
        assert arrays["labels"].tolist() == [0, 2, 1, 1]
        assert arrays["keys"][1] == "häuser/b.jpg"
        assert arrays["classes"].tolist() == ["n01", "n02", "n03"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.npz"
    predictions.save(made(), path)
    before = path.read_bytes()

    def full_disk(stream, **_arrays) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(WorkError, match="No space"):
        predictions.save(made(), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_predictions_are_fresh_only_for_the_same_weights_and_store(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    assert predictions.load_fresh(path, predictions.Predictions, "weights", "store") is None
    predictions.save(made(), path)
    assert predictions.load_fresh(path, predictions.Predictions, "weights", "store") is not None
    assert predictions.load_fresh(path, predictions.Predictions, "other", "store") is None
    assert predictions.load_fresh(path, predictions.Predictions, "weights", "other") is None


def test_a_file_cut_short_is_one_line_and_never_fresh(tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    predictions.save(made(), path)
    for size in (0, 10, path.stat().st_size // 2):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(DataError, match=r"p\.npz has no valid predictions"):
            predictions.load(path)
        assert predictions.load_fresh(path, predictions.Predictions, "weights", "store") is None
